/* Any program of BPF that is not refused ends, and reads nothing but the frame. */
#include "_bpf.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct piece code = take_piece(&input, take_number(&input, 1) * sizeof(struct sock_filter)), piece;
    struct frame frame = take_frame(&input, &piece);

    if (check_bpf(code.bytes, code.length / sizeof(struct sock_filter)) == NULL)
        run_bpf(code.bytes, &frame);
    free(code.bytes);
    free(piece.bytes);
    return 0;
}
