/* A comparison of made-up numbers: what the report writes can be tested without running
 * models. */
#ifndef TEST_REPORT_FIXTURE_H
#define TEST_REPORT_FIXTURE_H

#include "cli/compare/comparison.h"

typedef struct fixture_options {
  /* letters: p plain20, r resnet20, P plain56, R resnet56; NULL: "prPR" */
  const char *models;
  bool reversed; /* nothing is as in the paper */
  /* names with what HTML, SVG, CSV and terminals would obey */
  bool hostile;
  bool without_ablation; /* and without responses, and times not measured */
  uint32_t classes;      /* 0: 10 */
  /* a folder of class folders; NULL: there are none to be read */
  const char *images;
} fixture_options;

/* Never NULL. */
comparison *fixture_make(const fixture_options *o);
void fixture_release(comparison *c);

#endif
