/* Text from files, made safe to print: names in messages come from model files, and a
 * terminal would obey the control characters in them. */
#ifndef LIBRESNET_LOADER_BASE_MASK_H
#define LIBRESNET_LOADER_BASE_MASK_H

#include <stdbool.h>

/* Replace in `text` by '?' each character that a terminal obeys or hides, and each byte
 * that is not UTF-8 (RFC 3629):
 *   - the control characters C0, DEL and C1,
 *   - marks that turn the direction of text, line and paragraph separators,
 *   - characters without width, fillers and noncharacters.
 * Drop a character at the end that was cut in the middle. The text gets no longer. */
void mask_text(char *text);

/* Return true if mask_text would not change `text`. */
bool mask_is_clean(const char *text);

#endif
