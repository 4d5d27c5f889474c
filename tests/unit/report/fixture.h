/* A comparison of invented numbers, to test the report without running models. */
#ifndef TEST_REPORT_FIXTURE_H
#define TEST_REPORT_FIXTURE_H

#include "cli/compare/comparison.h"

typedef struct fixture_options {
  /* letters: p plain20, r resnet20, P plain56, R resnet56; NULL: "prPR" */
  const char *models;
  bool reversed;         /* all results disagree with the paper */
  bool hostile;          /* names with markup, formulas and control characters */
  bool without_ablation; /* also without responses and times */
  uint32_t classes;      /* 0: 10 */
  const char *images;    /* a folder of class folders; NULL: no image can be read */
} fixture_options;

/* Make a comparison, for the caller to release. Never return NULL. */
comparison *fixture_make(const fixture_options *o);
void fixture_release(comparison *c);

#endif
