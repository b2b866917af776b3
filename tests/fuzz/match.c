/* Any filter on any frame: it ends; it is looked up where it matches; and a record with the frame is never passed over. */
#include "_lookup.h"
#include "input.h"

#define AT 48u /* of the first packet in its block */
#define FRAME 64u /* behind its header */
#define MANY 40u /* packets, which make a block of several parts with so much between them: */
#define APART 4096u

/* What a record with so many packets of this frame leaves as its summary. */
static uint8_t *summary_with(const struct frame *frame, uint32_t packets, size_t room, size_t *length)
{
    struct tpacket_block_desc description = {.version = TPACKET_V3};
    struct tpacket3_hdr header = {.tp_mac = FRAME, .tp_snaplen = frame->length};
    size_t each = FRAME + frame->length > APART || packets == 1 ? FRAME + frame->length : APART;
    size_t size = AT + packets * each;
    uint8_t *block = calloc(1, size), *summary;

    if (block == NULL)
        abort();
    header.tp_len = frame->wire_length - (frame->restored ? VLAN_TAG : 0);
    if (frame->restored) {
        header.tp_status = TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
        header.hv1.tp_vlan_tpid = read_u16(frame->tag);
        header.hv1.tp_vlan_tci = read_u16(frame->tag + 2);
    }
    description.hdr.bh1.num_pkts = packets;
    description.hdr.bh1.blk_len = (uint32_t)size;
    description.hdr.bh1.offset_to_first_pkt = AT;
    memcpy(block, &description, sizeof description);
    for (uint32_t number = 0; number < packets; number++) {
        header.tp_next_offset = number + 1 < packets ? (uint32_t)each : 0;
        memcpy(block + AT + number * each, &header, sizeof header);
        memcpy(block + AT + number * each + FRAME, frame->bytes, frame->length);
    }
    summary = summary_of(block, size, room, length);
    free(block);
    return summary;
}

static void check(const struct program *program, const struct frame *frame, size_t room)
{
    struct program programs[2] = {*program, *program};
    struct lookup *lookup = make_lookup(programs, 2);
    uint64_t set = 0;
    struct key key;

    if (lookup == NULL)
        abort();
    read_key(frame, &key);
    look_up(lookup, &key, &set);
    free_lookup(lookup);
    if (set != 0 && set != 3)
        abort();
    if (run_program(program, &key, frame)) {
        struct summary summary;
        size_t length = 0;
        uint8_t *bytes = summary_with(frame, room & 1 ? MANY : 1, room, &length);

        uint32_t found;

        if (set != 3 || open_summary(bytes, length, &summary) != NULL)
            abort();
        found = may_match(program, &summary);
        for (uint32_t part = 0; part < summary.parts; part++)
            if ((summary.parts == 1 || summary.packets[part] != 0) && !(found >> part & 1))
                abort();
        free(bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    size_t room = take_number(&input, 1);
    struct piece bytes = take_piece(&input, take_number(&input, 2)), known = take_piece(&input, take_number(&input, 1));
    struct piece piece;
    struct frame frame = take_frame(&input, &piece);
    struct program program;
    struct summary summary;

    if (open_program(bytes.bytes, bytes.length, &program) == NULL) {
        if (open_summary(known.bytes, known.length, &summary) == NULL)
            may_match(&program, &summary);
        check(&program, &frame, room);
    }
    free(bytes.bytes);
    free(known.bytes);
    free(piece.bytes);
    return 0;
}
