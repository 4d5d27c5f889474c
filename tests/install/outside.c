/* A program outside the project: it uses only the installed header and library.
 * `outside MODEL` prints how many classes the model has. */
#include <resnet.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  resnet_model *model = NULL;
  resnet_error error;
  resnet_model_info info = {.struct_size = sizeof info};
  if (argc != 2 || resnet_abi() != RESNET_ABI ||
      strcmp(resnet_version(), RESNET_VERSION_STRING) != 0)
    return 2;
  int ok = resnet_model_open(argv[1], NULL, &model, &error) == RESNET_OK &&
           resnet_model_get_info(model, &info, &error) == RESNET_OK;
  if (ok) printf("%u classes\n", info.classes);
  if (!ok) fprintf(stderr, "%s\n", error.message);
  resnet_model_close(&model);
  return !ok;
}
