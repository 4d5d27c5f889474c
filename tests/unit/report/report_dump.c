/* report_dump OPTIONS PAGE TABLES [IMAGES]: write the report of a fixture, for tests in
 * Python. OPTIONS: letters of models as in fixture.h, and
 *   !: hostile names
 *   ~: reversed
 *   0: without ablations
 *   #: 1000 classes
 * PAGE or TABLES "-": do not write it. */
#include <stdio.h>
#include <string.h>

#include "cli/compare/comparison.h"
#include "cli/report/export.h"
#include "cli/report/page.h"
#include "cli/terminal.h"
#include "fixture.h"

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  cli_terminal_prepare();
  char models[16] = "";
  (void)snprintf(models, sizeof models, "%.*s", (int)strspn(argv[1], "prPR"), argv[1]);
  fixture_options o = {
      .models = models, .hostile = strchr(argv[1], '!'), .reversed = strchr(argv[1], '~')};
  o.without_ablation = strchr(argv[1], '0');
  o.classes = strchr(argv[1], '#') ? 1000 : 0;
  o.images = argc > 4 ? argv[4] : NULL;
  comparison *c = fixture_make(&o);
  bool ok = strcmp(argv[2], "-") == 0 || report_write_page(c, argv[2]);
  ok &= strcmp(argv[3], "-") == 0 || report_export_write(c, argv[3]);
  fixture_release(c);
  return ok ? 0 : 1;
}
