/* The table of commands. */
#include "cli/commands/commands.h"

#include <stdio.h>
#include <string.h>

#include "cli/commands/bench.h"
#include "cli/commands/classify.h"
#include "cli/commands/compare.h"
#include "cli/commands/compile.h"
#include "cli/commands/embed.h"
#include "cli/commands/eval.h"
#include "cli/commands/inspect.h"
#include "cli/options.h"

static const command commands[] = {
    {COMMAND_CLASSIFY, "classify", "[MODEL] IMAGE...", "label images",
     "Labels JPEG and PNG images, recognised by their content. Their EXIF orientation is\n"
     "applied; they are resized and cropped as the model requires. - is standard input: an\n"
     "image, or, as the first of several arguments, a model.",
     "resnet classify resnet50.onnx photo.jpg -k 5", TAKES_IMAGES, command_classify},
    {COMMAND_EMBED, "embed", "[MODEL] IMAGE... --output OUT.npy",
     "write embeddings, or any tensor, of images",
     "Writes the numbers that the model gives for each image, without softmax or sigmoid, as a\n"
     "row of a NumPy file. --scores NAME takes any tensor of the model, e.g. that before the\n"
     "last layer. If an image cannot be read, no file is written.",
     "resnet embed arcface.onnx a.jpg b.jpg --l2 -o faces.npy", TAKES_IMAGES, command_embed},
    {COMMAND_EVAL, "eval", "[MODEL] --data DIR|ZIP", "measure accuracy over labelled images",
     "The folder of an image names its class: one of the labels of the model, or, if the model\n"
     "has no labels, the place of the folder in sorted order.\n"
     "Works on --threads images or batches at once; the results do not depend on it.",
     "resnet eval resnet20.onnx --data cifar10-test.zip", TAKES_MODEL, command_eval},
    {COMMAND_INSPECT, "inspect", "[MODEL]", "show ops, shapes, blocks, parameters and memory",
     "Shows the structure of the model, op by op and block by block; with --check, only what\n"
     "looks wrong in it.",
     "resnet inspect --check resnet50.onnx", TAKES_MODEL, command_inspect},
    {COMMAND_BENCH, "bench", "[MODEL]", "measure latency",
     "Times runs of the model on random input, after a few warm-up runs.",
     "resnet bench resnet50.onnx --threads 1 --per-op", TAKES_MODEL, command_bench},
    {COMMAND_COMPILE, "compile", "[MODEL] --output OUT.resnet",
     "write a plan file, which opens at once",
     "Writes the model with its weights packed for this processor, so that it opens without\n"
     "decoding or packing. Every command accepts the plan file as its model.",
     "resnet compile resnet50.onnx -o resnet50.resnet", TAKES_MODEL, command_compile},
    {COMMAND_COMPARE, "compare", "MODEL... --data DIR|ZIP",
     "compare models: predictions, speed, responses, blocks",
     "Labels the images with every model. Shows which images they get right and where they\n"
     "differ, how strong their layers respond, what each block adds to its shortcut, and the\n"
     "accuracy without each block.",
     "resnet compare plain20.onnx resnet20.onnx --data cifar10-test.zip --report compared.html",
     TAKES_MODELS, command_compare},
};
enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

const command *command_find(const char *name) {
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    if (strcmp(commands[i].name, name) == 0) return &commands[i];
  return NULL;
}

void command_print_help(void) {
  (void)printf("Usage: resnet COMMAND [OPTION]...\n"
               "Run pretrained ResNets from ONNX files.\n\nCommands:\n");
  for (size_t i = 0; i < COMMAND_COUNT; i++)
    (void)printf("  %-10s %s\n", commands[i].name, commands[i].summary);
  (void)printf("\nOptions:\n"
               "  --help     show this help; 'resnet COMMAND --help': the help of a command\n"
               "  --version  show the version\n\nExample:\n  %s\n",
               commands[0].example);
}
