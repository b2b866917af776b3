/* The key of any frame: it is read within the frame, and the same each time. */
#include "_key.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct piece piece;
    struct frame frame = take_frame(&input, &piece);
    struct key key;

    memset(&key, 0xaa, sizeof key);
    read_key(&frame, &key);
    if (key.present >> FIELDS != 0 || key.labels > MOST_LABELS || (key.present >> FIELD_LENGTH & 1) == 0)
        abort();
    free(piece.bytes);
    return 0;
}
