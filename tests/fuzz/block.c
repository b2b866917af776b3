/* Any block: what is told of it is told in its room, and is understood. */
#include "_summary.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    size_t room = take_number(&input, 2), length = 0;
    struct piece block = take_piece(&input, input.left);
    uint8_t *bytes = summary_of(block.bytes, block.length, room, &length);
    struct summary summary;

    if (bytes != NULL && (length > room || open_summary(bytes, length, &summary) != NULL))
        abort();
    free(bytes);
    free(block.bytes);
    return 0;
}
