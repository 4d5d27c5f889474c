/* What the library and the program replace before they print text from a file. Both have
 * their own table, because the program sees only resnet.h: the tables must agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loader/base/error.h"
#include "loader/base/mask.h"
#include "support/utf8.h"

/* Write the UTF-8 of a character, surrogates too, with a NUL at the end. */
static unsigned encode(uint32_t character, char *out) {
  const unsigned length = character < 0x80      ? 1
                          : character < 0x800   ? 2
                          : character < 0x10000 ? 3
                                                : 4;
  static const uint8_t leads[5] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (unsigned i = length; i-- > 0; character >>= 6)
    out[i] = (char)(i ? 0x80 | (character & 0x3f) : leads[length] | character);
  out[length] = '\0';
  return length;
}

static bool program_masks(const char *text) {
  const unsigned length = utf8_length(text);
  return length == 0 || utf8_is_unsafe(utf8_decode(text, length));
}

static void both_tables_agree_on_every_character(void **state) {
  (void)state;
  unsigned masked = 0;
  for (uint32_t character = 1; character < 0x110000; character++) {
    char text[5];
    const unsigned length = encode(character, text);
    const bool clean = mask_is_clean(text);
    assert_int_equal(clean, !program_masks(text));
    masked += !clean;
    char copy[5];
    (void)memcpy(copy, text, sizeof copy);
    mask_text(copy);
    if (clean) assert_string_equal(copy, text);
    if (!clean && utf8_length(text) == length) assert_string_equal(copy, "?");
  }
  assert_in_range(masked, 2048 + 4096, 2048 + 4096 + 300);
}

static void both_refuse_the_same_bytes(void **state) {
  (void)state;
  for (unsigned first = 1; first < 256; first++)
    for (unsigned second = 1; second < 256; second++) {
      const char text[] = {(char)first, (char)second, 'x', '\0'};
      const unsigned length = utf8_length(text);
      const bool clean =
          length && !program_masks(text) && (length == 2 || !program_masks(text + 1));
      assert_int_equal(mask_is_clean(text), clean);
    }
}

static void expect(const char *text, const char *wanted) {
  char copy[64];
  (void)snprintf(copy, sizeof copy, "%s", text);
  assert_int_equal(mask_is_clean(copy), strcmp(text, wanted) == 0);
  mask_text(copy);
  assert_string_equal(copy, wanted);
}

static void text_of_people_stays(void **state) {
  (void)state;
  expect("", "");
  expect("caf\xc3\xa9 \xe7\x8c\xab \xd7\x97\xd7\xaa\xd7\x95\xd7\x9c \xf0\x9f\x90\xb1",
         "caf\xc3\xa9 \xe7\x8c\xab \xd7\x97\xd7\xaa\xd7\x95\xd7\x9c \xf0\x9f\x90\xb1");
  /* a heart with the variation selector of emoji */
  expect("\xe2\x9d\xa4\xef\xb8\x8f", "\xe2\x9d\xa4\xef\xb8\x8f");
  expect("a\tb\x1b[31m", "a?b?[31m");
  expect("\xc2\x9b"
         "5mX\x9b"
         "31m",
         "?5mX?31m");
  /* U+202E, U+2066, U+200F, U+061C, U+2028, U+200B, U+FEFF, U+E0041 */
  expect("\xe2\x80\xae-\xe2\x81\xa6-\xe2\x80\x8f-\xd8\x9c-\xe2\x80\xa8", "?-?-?-?-?");
  expect("\xe2\x80\x8b-\xef\xbb\xbf-\xf3\xa0\x81\x81", "?-?-?");
  /* '/' spelt too long, a surrogate */
  expect("\xc0\xaf-\xed\xa0\x80", "?\?-?\?\?");
}

static void a_message_is_not_cut_in_a_character(void **state) {
  (void)state;
  resnet_error error;
  char name[RESNET_ERROR_MESSAGE_SIZE + 8] = "";
  for (int shift = 0; shift < 3; shift++) {
    (void)memset(name, 'a', sizeof name - 1);
    for (size_t i = (size_t)shift; i + 3 < sizeof name; i += 3)
      (void)memcpy(name + i, "\xe7\x8c\xab", 3);
    (void)err_fail(&error, RESNET_ERROR_FORMAT, "%s", name);
    assert_null(strchr(error.message, '?'));
    assert_in_range(strlen(error.message), RESNET_ERROR_MESSAGE_SIZE - 3,
                    RESNET_ERROR_MESSAGE_SIZE - 1);
    assert_true(mask_is_clean(error.message));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_tables_agree_on_every_character),
      cmocka_unit_test(both_refuse_the_same_bytes),
      cmocka_unit_test(text_of_people_stays),
      cmocka_unit_test(a_message_is_not_cut_in_a_character),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
