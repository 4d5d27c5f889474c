/* Names that the library uses inside: a program may have its own. See two_libraries in
 * check.sh. */
int mem_allocate(void);
int fail(void);
int xnn_initialize(void);

int mem_allocate(void) { return 1; }
int fail(void) { return 2; }
int xnn_initialize(void) { return 3; }
