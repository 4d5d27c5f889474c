/* resnet_classify: images to labels. */
#include <math.h>
#include <string.h>

#include "runtime/api/prepare.h"
#include "runtime/api/session.h"
#include "runtime/kernels/softmax.h"

/* Return 1 / (1 + exp(-x)). exp(-|x|) never overflows. */
static double sigmoid(double x) {
  const double e = exp(-fabs(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

/* Write the probabilities of two classes from one score. */
static void split_binary(float score, resnet_scores kind, float out[2]) {
  const double x = (double)score;
  const bool logit = kind == RESNET_SCORES_BINARY_LOGIT;
  out[0] = (float)(logit ? sigmoid(-x) : 1 - x);
  out[1] = logit ? (float)sigmoid(x) : score;
}

/* Write the probabilities of the classes of one sample from its `count` scores. */
static void to_probabilities(const float *scores, size_t count, resnet_scores kind, float *out) {
  switch (kind) {
  case RESNET_SCORES_BINARY_LOGIT:
  case RESNET_SCORES_BINARY_PROBABILITY:
    split_binary(scores[0], kind, out);
    return;
  case RESNET_SCORES_PROBABILITIES:
  case RESNET_SCORES_MULTI_LABEL:
    memcpy(out, scores, count * sizeof *out);
    return;
  case RESNET_SCORES_LOG_PROBABILITIES:
    for (size_t i = 0; i < count; i++) out[i] = (float)exp((double)scores[i]);
    return;
  case RESNET_SCORES_LOGITS:
  case RESNET_SCORES_EMBEDDING: /* refused before */
    break;
  }
  double largest;
  const double rest = kernel_log_sum_exp(scores, count, &largest);
  for (size_t i = 0; i < count; i++) out[i] = (float)exp((double)scores[i] - largest - rest);
}

static bool is_worse(const resnet_prediction *a, const resnet_prediction *b) {
  if (a->score < b->score) return true;
  return !(a->score > b->score) && a->index > b->index;
}

static void sink(resnet_prediction *heap, size_t count, size_t at) {
  for (;;) {
    size_t worst = at;
    for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
      if (is_worse(&heap[child], &heap[worst])) worst = child;
    if (worst == at) return;
    const resnet_prediction moved = heap[at];
    heap[at] = heap[worst];
    heap[worst] = moved;
    at = worst;
  }
}

/* Write the k best of `classes`, best first: keep a heap of k with the worst on top, then
 * heapsort it. */
static void pick_best(const float *scores, uint32_t classes, uint32_t k, resnet_prediction *best) {
  for (uint32_t i = 0; i < k; i++) best[i] = (resnet_prediction){.index = i, .score = scores[i]};
  for (size_t i = k; i-- > 0;) sink(best, k, i);
  for (uint32_t i = k; i < classes; i++) {
    const resnet_prediction candidate = {.index = i, .score = scores[i]};
    if (!is_worse(&best[0], &candidate)) continue;
    best[0] = candidate;
    sink(best, k, 0);
  }
  for (size_t end = k; end-- > 1;) {
    const resnet_prediction worst = best[0];
    best[0] = best[end];
    best[end] = worst;
    sink(best, end, 0);
  }
}

static void predict(resnet_session *session, size_t batch, uint32_t k,
                    resnet_prediction *predictions) {
  const resnet_model *model = session->model;
  const plan *p = session->executor.plan;
  const uint32_t classes = model_class_count(model), count = p->ops[p->output].shape.c;
  const float *scores = executor_output(session, p->output);
  for (size_t i = 0; i < batch; i++) {
    float *own = session->probabilities + i * classes;
    to_probabilities(scores + i * count, count, model->scores, own);
    pick_best(own, classes, k, predictions + i * k);
    for (uint32_t j = 0; j < k; j++) {
      resnet_prediction *one = &predictions[i * k + j];
      one->label = model->labels ? model->labels[one->index] : NULL;
    }
  }
}

static resnet_status check_arguments(const resnet_session *session, const resnet_image *images,
                                     size_t count, uint32_t k, const resnet_prediction *predictions,
                                     resnet_error *error) {
  resnet_status status = session_check_images("resnet_classify", session, images, count, error);
  if (status != RESNET_OK) return status;
  if (!predictions) return err_null(error, "resnet_classify", "predictions");
  const plan *p = &session->model->plan;
  const uint32_t classes = model_class_count(session->model);
  if (classes == 0)
    return err_fail(error, RESNET_ERROR_UNSUPPORTED,
                    "the model's last layer '%.60s' ranks no classes: it gives %u numbers that are "
                    "features (an embedding); run it instead, or choose the output that has the "
                    "scores of the classes",
                    p->ops[p->output].name, p->ops[p->output].shape.c);
  if (k == 0 || k > classes)
    return err_fail(error, RESNET_ERROR_ARGUMENT,
                    "resnet_classify: k is %u: use 1 to %u, the number of classes", k, classes);
  return RESNET_OK;
}

resnet_status resnet_classify(resnet_session *session, const resnet_image *images, size_t count,
                              uint32_t k, resnet_prediction *predictions, resnet_error *error) {
  resnet_status status = check_arguments(session, images, count, k, predictions, error);
  if (status != RESNET_OK) return status;
  executor_begin(session);
  for (size_t done = 0; done < count;) {
    const size_t batch = count - done < session->batch ? count - done : session->batch;
    status =
        session_prepare(session, images + done, batch, done, executor_output(session, 0), error);
    if (status == RESNET_OK) status = executor_run(session, batch, error);
    if (status != RESNET_OK) return status;
    predict(session, batch, k, predictions + done * k);
    done += batch;
  }
  return err_clear(error);
}
