/* Define names that the library uses internally: a program may use them too. See
 * two_libraries in check.sh. */
int mem_allocate(void);
int err_fail(void);
int xnn_initialize(void);

int mem_allocate(void) { return 1; }
int err_fail(void) { return 2; }
int xnn_initialize(void) { return 3; }
