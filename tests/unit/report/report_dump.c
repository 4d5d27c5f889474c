/* report_dump OPTIONS PAGE TABLES [PICTURES]: write the report of a fixture, for tests in
 * Python. OPTIONS: letters of nets as in fixture.h, and ! hostile names, ~ reversed, 0
 * without lesions, # 1000 classes. PAGE or TABLES "-": not that one. */
#include <stdio.h>
#include <string.h>

#include "cli/terminal.h"
#include "fixture.h"

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  terminal_prepare();
  char nets[16] = "";
  (void)snprintf(nets, sizeof nets, "%.*s", (int)strspn(argv[1], "prPR"), argv[1]);
  fixture_options o = {
      .nets = nets, .hostile = strchr(argv[1], '!'), .reversed = strchr(argv[1], '~')};
  o.without_lesions = strchr(argv[1], '0');
  o.classes = strchr(argv[1], '#') ? 1000 : 0;
  o.pictures = argc > 4 ? argv[4] : NULL;
  comparison *c = fixture_make(&o);
  bool good = strcmp(argv[2], "-") == 0 || comparison_write_report(c, argv[2]);
  good &= strcmp(argv[3], "-") == 0 || comparison_write_tables(c, argv[3]);
  fixture_release(c);
  return good ? 0 : 1;
}
