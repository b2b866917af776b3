/* Checksums that a sender left to its network card. */
#ifndef ALLEGRO_CHECKSUM_H
#define ALLEGRO_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Put the TCP or UDP checksum into a frame that its sender's card would have completed; `frame` is whole.
 * Returns whether the headers say where it belongs: not for fragments, other protocols, or what is cut off. */
int complete_checksum(uint8_t *frame, size_t length);

#endif
