/* Takes the input of a fuzzer apart: numbers first, then pieces in memory of their own, so that each read beyond one is seen. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include "_block.h"

#include <stdlib.h>

struct input {
    const uint8_t *at;
    size_t left;
};

struct piece {
    uint8_t *bytes;
    size_t length;
};

static inline uint32_t take_number(struct input *input, size_t bytes)
{
    uint32_t number = 0;

    for (; bytes > 0 && input->left > 0; bytes--, input->left--)
        number = number << 8 | *input->at++;
    return number;
}

static inline struct piece take_piece(struct input *input, size_t length)
{
    struct piece piece = {NULL, length < input->left ? length : input->left};

    piece.bytes = malloc(piece.length ? piece.length : 1);
    if (piece.bytes == NULL)
        abort();
    memcpy(piece.bytes, input->at, piece.length);
    input->at += piece.length;
    input->left -= piece.length;
    return piece;
}

/* A frame of what is left: its tag comes first, if it has one, and how much longer it was on the wire. */
static inline struct frame take_frame(struct input *input, struct piece *piece)
{
    struct frame frame = {0};
    uint32_t tagged = take_number(input, 1) & 1, longer = take_number(input, 1);
    uint32_t tag = take_number(input, VLAN_TAG);

    *piece = take_piece(input, input->left);
    frame.bytes = piece->bytes;
    frame.length = (uint32_t)piece->length;
    frame.wire_length = frame.length + longer + (tagged ? VLAN_TAG : 0);
    frame.restored = tagged && frame.length >= MAC_ADDRESSES;
    for (size_t place = 0; place < VLAN_TAG; place++)
        frame.tag[place] = (uint8_t)(tag >> 8 * (VLAN_TAG - 1 - place));
    return frame;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
