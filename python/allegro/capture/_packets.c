/* The part of the extraction that costs per packet: walk TPACKET_V3 blocks, merge them by time, write pcapng.
 *
 * A block comes from a disk and may be torn, damaged or made by somebody hostile: every number read from it is checked
 * against the block's own bounds before it is used, in scan_all() and again in emit(). Buffers are held and the GIL is
 * released while the loops run; each header is copied before it is checked, so that a buffer that changes meanwhile
 * cannot undo a check.
 *
 * Layouts: linux/if_packet.h and Documentation/networking/packet_mmap.rst (blocks, host byte order);
 * draft-ietf-opsawg-pcapng, section 4.3 (Enhanced Packet Block); draft-ietf-opsawg-pcap, section 5 (Packet Record).
 * What the functions do for a caller: _packets.pyi.
 */
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

#include <netinet/in.h>
#include <stdlib.h>

#include "_block.h"
#include "_match.h"
#include "_records.h"

#define FLAG_LARGE 1u      /* as a virtual machine's host made it: larger than the wire takes, to be segmented */
#define FLAG_UNFINISHED 2u /* the same: without its checksum */
#ifndef TP_STATUS_GSO_TCP
#define TP_STATUS_GSO_TCP (1 << 8) /* since Linux 6.0 */
#endif
#define IPV4_FRAGMENT 0x3fffu /* more fragments, or an offset (RFC 791) */
#define EPB_TYPE 6u
#define EPB_CAPTURED 20u /* offset of the captured length */
#define EPB_HEADER 28u
#define EPB_OVERHEAD (EPB_HEADER + 4u)
#define EPB_TIME 12u
#define COPIED 14u /* cache lines that are fetched ahead of a packet; the processor sees that more of a long one follow */
#define RECORD_HEADER 16u /* of a packet in a pcap file */

struct counts { /* of what was written */
    uint64_t packets, bytes;
    uint64_t large;      /* made of several by the sender's offload */
    uint64_t unfinished; /* handed over without their checksum */
    uint64_t completed;  /* of these, how many have it now */
    uint64_t shortened;  /* not all of their bytes were kept */
};

struct source {
    Py_buffer block;
    Py_buffer index;
    uint32_t interface;
    size_t position;
    size_t count;
    int64_t shift_ns; /* stamp minus moment on the time line by which is merged */
    int64_t next_ns;  /* on that time line */
    struct counts counts;
};

struct module_state {
    PyObject *block_error;
};

/* --- blocks ------------------------------------------------------------------------------------------------------- */

/* Whether a block has a description that can be true. */
static int load_description(const uint8_t *block, size_t size, struct tpacket_hdr_v1 *description)
{
    struct tpacket_block_desc whole;

    if (size < sizeof whole)
        return 0;
    memcpy(&whole, block, sizeof whole);
    *description = whole.hdr.bh1;
    if (whole.version != TPACKET_V3)
        return 0;
    if (description->blk_len > size)
        return 0;
    if (description->offset_to_first_pkt < sizeof whole || description->offset_to_first_pkt > description->blk_len)
        return 0;
    return description->num_pkts <= (description->blk_len - description->offset_to_first_pkt) / sizeof(struct tpacket3_hdr);
}

static uint32_t entry_flags(uint32_t status)
{
    return (status & TP_STATUS_GSO_TCP ? FLAG_LARGE : 0u) | (status & TP_STATUS_CSUMNOTREADY ? FLAG_UNFINISHED : 0u);
}

struct chain { /* of packets, linked by tp_next_offset */
    size_t begin, end;
    uint32_t packets;
    int may_go_on; /* at `end`, with the next part of the block */
};

/* Follow a chain and fill `entries`, one per packet, in the order of the block, which lies at `base` of what the entries'
 * offsets count in; answers whether all is as it should be. A page left from what lay here before is a chain of packets, too,
 * if those were of the same lengths: only their times tell. */
static int walk(const uint8_t *block, const struct chain *chain, uint64_t earliest_ns, uint64_t latest_ns, size_t base,
                uint8_t *entries, int *sorted)
{
    size_t offset = chain->begin;
    uint64_t previous_ns = 0;

    *sorted = 1;
    for (uint32_t number = 0; number < chain->packets; number++) {
        struct packet packet;
        struct entry entry;
        uint32_t next;
        int ends;

        if (load_packet(block, chain->end, offset, &packet) != NULL)
            return 0;
        next = packet.header.tp_next_offset;
        /* The kernel ends the chain with 0 when it closes the block. */
        ends = next == 0 || (chain->may_go_on && next == chain->end - offset);
        if (ends != (number + 1 == chain->packets))
            return 0;
        if (next != 0 && next < packet.header.tp_mac + packet.header.tp_snaplen) /* two overlap */
            return 0;
        if (packet.time_ns < earliest_ns || packet.time_ns > latest_ns)
            return 0;
        if (packet.time_ns < previous_ns)
            *sorted = 0;
        previous_ns = packet.time_ns;
        entry = (struct entry){packet.time_ns, (uint32_t)(base + offset), entry_flags(packet.header.tp_status)};
        memcpy(entries + number * sizeof entry, &entry, sizeof entry);
        offset += next;
    }
    return 1;
}

static int compare_entries(const void *left, const void *right)
{
    struct entry a, b;

    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    if (a.time_ns != b.time_ns)
        return a.time_ns < b.time_ns ? -1 : 1;
    return a.offset < b.offset ? -1 : a.offset > b.offset;
}

PyObject *raise_fault(PyObject *module, struct fault fault)
{
    struct module_state *state = PyModule_GetState(module);
    PyObject *arguments = Py_BuildValue("(sn)", fault.message, (Py_ssize_t)fault.offset);

    if (arguments != NULL) {
        PyErr_SetObject(state->block_error, arguments);
        Py_DECREF(arguments);
    }
    return NULL;
}

/* --- scan --------------------------------------------------------------------------------------------------------- */

struct place { /* of a block in a buffer, or of packets that are a part of one */
    size_t offset;
    uint64_t earliest_ns, latest_ns;
    struct chain chain;
    int damaged;
};

/* Where the packets are. Of a block its own description says that, which is damaged if it cannot be true. */
static void look_at_place(const uint8_t *buffer, size_t size, uint32_t packets, struct place *place)
{
    struct tpacket_hdr_v1 description;

    if (packets != 0)
        place->chain = (struct chain){0, size, packets, 1};
    else if (load_description(buffer + place->offset, size, &description))
        place->chain = (struct chain){description.offset_to_first_pkt, description.blk_len, description.num_pkts, 0};
    place->damaged = packets == 0 && place->chain.end == 0;
    if (place->chain.packets > size / sizeof(struct tpacket3_hdr))
        place->damaged = 1;
}

static int parse_place(PyObject *item, const Py_buffer *buffer, struct place *place)
{
    Py_ssize_t offset, size, count = PyTuple_Check(item) ? PyTuple_Size(item) : 0;
    unsigned long long earliest_ns, latest_ns;
    unsigned long packets = 0;

    if (count != 4 && count != 5) {
        PyErr_SetString(PyExc_TypeError, "a place is a tuple (offset, size, earliest_ns, latest_ns[, packets])");
        return -1;
    }
    /* One by one: PyArg_ParseTuple takes several times as long, and places are many. */
    offset = PyLong_AsSsize_t(PyTuple_GetItem(item, 0));
    size = PyLong_AsSsize_t(PyTuple_GetItem(item, 1));
    earliest_ns = PyLong_AsUnsignedLongLong(PyTuple_GetItem(item, 2));
    latest_ns = PyLong_AsUnsignedLongLong(PyTuple_GetItem(item, 3));
    if (count == 5)
        packets = PyLong_AsUnsignedLong(PyTuple_GetItem(item, 4));
    if (PyErr_Occurred())
        return -1;
    if (offset < 0 || size < 0 || offset > buffer->len || size > buffer->len - offset || packets > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "a place lies outside the buffer");
        return -1;
    }
    *place = (struct place){.offset = (size_t)offset, .earliest_ns = earliest_ns, .latest_ns = latest_ns};
    look_at_place(buffer->buf, (size_t)size, (uint32_t)packets, place);
    return 0;
}

/* Fill `entries` with the packets of all blocks that are sound, sorted by time; returns how many those are. */
static size_t walk_all(const uint8_t *buffer, struct place *places, size_t count, uint8_t *entries)
{
    size_t found = 0;
    uint64_t last_ns = 0;
    int all_sorted = 1;

    for (size_t number = 0; number < count; number++) {
        struct place *place = &places[number];
        uint8_t *own = entries + found * sizeof(struct entry);
        struct entry first, last;
        size_t packets = place->chain.packets;
        int sorted;

        if (place->damaged || packets == 0)
            continue;
        place->damaged = !walk(buffer + place->offset, &place->chain, place->earliest_ns, place->latest_ns, place->offset,
                               own, &sorted);
        if (place->damaged)
            continue;
        found += packets;
        memcpy(&first, own, sizeof first);
        memcpy(&last, own + (packets - 1) * sizeof last, sizeof last);
        all_sorted = all_sorted && sorted && first.time_ns >= last_ns;
        last_ns = last.time_ns;
    }
    if (!all_sorted)
        qsort(entries, found, sizeof(struct entry), compare_entries);
    return found;
}

static PyObject *damaged_places(const struct place *places, size_t count)
{
    PyObject *list = PyList_New(0);

    for (size_t number = 0; list != NULL && number < count; number++) {
        PyObject *one;

        if (!places[number].damaged)
            continue;
        one = PyLong_FromSize_t(number);
        if (one == NULL || PyList_Append(list, one) < 0)
            Py_CLEAR(list);
        Py_XDECREF(one);
    }
    return list;
}

static PyObject *scan_all(PyObject *module, PyObject *arguments)
{
    Py_buffer buffer;
    PyObject *list, *damaged, *index = NULL, *result = NULL;
    struct place *places = NULL;
    uint8_t *entries = NULL;
    Py_ssize_t count;
    size_t packets = 0;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*O:scan_all", &buffer, &list))
        return NULL;
    count = PySequence_Size(list);
    if (count < 0)
        goto finish;
    if ((uint64_t)buffer.len > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "the buffer is too large for an index");
        goto finish;
    }
    places = PyMem_Calloc((size_t)count + 1, sizeof *places);
    if (places == NULL) {
        PyErr_NoMemory();
        goto finish;
    }
    for (Py_ssize_t number = 0; number < count; number++) {
        struct place *place = &places[number];
        PyObject *item = PySequence_GetItem(list, number);
        int failed = item == NULL || parse_place(item, &buffer, place) < 0;

        Py_XDECREF(item);
        if (failed)
            goto finish;
        if (!place->damaged)
            packets += place->chain.packets;
    }
    entries = PyMem_Malloc(packets * sizeof(struct entry) + 1);
    if (entries == NULL) {
        PyErr_NoMemory();
        goto finish;
    }
    Py_BEGIN_ALLOW_THREADS
    packets = walk_all(buffer.buf, places, (size_t)count, entries);
    Py_END_ALLOW_THREADS
    index = PyBytes_FromStringAndSize((const char *)entries, (Py_ssize_t)(packets * sizeof(struct entry)));
    damaged = damaged_places(places, (size_t)count);
    if (index != NULL && damaged != NULL)
        result = PyTuple_Pack(2, index, damaged);
    Py_XDECREF(index);
    Py_XDECREF(damaged);
finish:
    PyMem_Free(entries);
    PyMem_Free(places);
    PyBuffer_Release(&buffer);
    return result;
}

/* --- merge -------------------------------------------------------------------------------------------------------- */

static struct entry entry_at(const struct source *source, size_t position)
{
    struct entry entry;

    memcpy(&entry, (const uint8_t *)source->index.buf + position * sizeof entry, sizeof entry);
    return entry;
}

/* Its moment on the time line; stamps are below 2^63 because seconds have 32 bits. */
static int64_t moment_at(const struct source *source, size_t position)
{
    uint64_t moment = entry_at(source, position).time_ns - (uint64_t)source->shift_ns;

    return (int64_t)moment;
}

/* Equal times: the source that the caller named first. */
static int goes_before(const struct source *sources, size_t a, size_t b)
{
    if (sources[a].next_ns != sources[b].next_ns)
        return sources[a].next_ns < sources[b].next_ns;
    return a < b;
}

/* `heap` holds numbers of sources, the one with the earliest packet on top; restore that from `place` downwards. */
static void sift_down(const struct source *sources, size_t *heap, size_t count, size_t place)
{
    for (;;) {
        size_t child = 2 * place + 1, moved = heap[place];

        if (child >= count)
            return;
        if (child + 1 < count && goes_before(sources, heap[child + 1], heap[child]))
            child++;
        if (!goes_before(sources, heap[child], moved))
            return;
        heap[place] = heap[child];
        heap[child] = moved;
        place = child;
    }
}

static uint8_t *put_u32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

static uint8_t *put_bytes(uint8_t *to, const uint8_t *from, size_t length)
{
    memcpy(to, from, length);
    return to + length;
}

/* Write one Enhanced Packet Block, with the VLAN tag that the kernel took out put back.
 * Returns its length; 0 if it does not fit into `room`, and then nothing is written. */
static size_t put_packet(uint8_t *to, size_t room, uint64_t time_ns, const struct frame *frame, uint32_t interface)
{
    uint32_t captured = frame->length + (frame->restored ? VLAN_TAG : 0);
    uint32_t padding = (4u - captured % 4u) % 4u;
    uint32_t length = EPB_OVERHEAD + captured + padding;

    if (length > room)
        return 0;
    to = put_u32(to, EPB_TYPE);
    to = put_u32(to, length);
    to = put_u32(to, interface);
    to = put_u32(to, (uint32_t)(time_ns >> 32));
    to = put_u32(to, (uint32_t)time_ns);
    to = put_u32(to, captured);
    to = put_u32(to, frame->wire_length);
    if (frame->restored) {
        to = put_bytes(to, frame->bytes, MAC_ADDRESSES);
        to = put_bytes(to, frame->tag, VLAN_TAG);
        to = put_bytes(to, frame->bytes + MAC_ADDRESSES, frame->length - MAC_ADDRESSES);
    } else {
        to = put_bytes(to, frame->bytes, frame->length);
    }
    memset(to, 0, padding);
    put_u32(to + padding, length);
    return length;
}

/* --- checksums ---------------------------------------------------------------------------------------------------- */

/* Ones' complement sum of big-endian words (RFC 1071); `sum` goes on from before, which had an even length. */
static uint64_t add_words(uint64_t sum, const uint8_t *data, size_t length)
{
    for (; length > 1; data += 2, length -= 2)
        sum += read_u16(data);
    return length ? sum + ((uint64_t)*data << 8) : sum;
}

/* Where the transport header of an IPv6 packet begins (RFC 8200), after options that do not hide it; 0: nowhere. */
static size_t skip_extensions(const uint8_t *frame, size_t at, size_t end, uint8_t *protocol)
{
    while (*protocol == IPPROTO_HOPOPTS || *protocol == IPPROTO_ROUTING || *protocol == IPPROTO_DSTOPTS) {
        if (end - at < 8)
            return 0;
        *protocol = frame[at];
        if (end - at < 8u * (1u + frame[at + 1]))
            return 0;
        at += 8u * (1u + frame[at + 1]);
    }
    return at;
}

/* Put the TCP or UDP checksum into a frame that its sender's card would have completed; `frame` is whole.
 * Returns whether the headers say where it belongs: not for fragments, other protocols, or what is cut off. */
static int complete_checksum(uint8_t *frame, size_t length)
{
    size_t at = MAC_ADDRESSES, end, field;
    uint8_t protocol;
    uint64_t sum;

    while (length - at >= 2 + VLAN_TAG && (read_u16(frame + at) == ETHERTYPE_VLAN || read_u16(frame + at) == ETHERTYPE_QINQ))
        at += VLAN_TAG;
    if (length - at < 2)
        return 0;
    if (read_u16(frame + at) == ETHERTYPE_IPV4) {
        size_t header, total;

        at += 2;
        if (length - at < 20 || frame[at] >> 4 != 4)
            return 0;
        header = 4u * (frame[at] & 15);
        total = read_u16(frame + at + 2);
        if (total == 0) /* a large packet that does not fit into 16 bits */
            total = length - at;
        if (header < 20 || total < header || total > length - at || (read_u16(frame + at + 6) & IPV4_FRAGMENT) != 0)
            return 0;
        protocol = frame[at + 9];
        sum = add_words(0, frame + at + 12, 8);
        end = at + total;
        at += header;
    } else if (read_u16(frame + at) == ETHERTYPE_IPV6) {
        size_t total;

        at += 2;
        if (length - at < 40 || frame[at] >> 4 != 6)
            return 0;
        total = read_u16(frame + at + 4);
        if (total == 0)
            total = length - at - 40;
        if (total > length - at - 40)
            return 0;
        protocol = frame[at + 6];
        sum = add_words(0, frame + at + 8, 32);
        end = at + 40 + total;
        at = skip_extensions(frame, at + 40, end, &protocol);
        if (at == 0)
            return 0;
    } else {
        return 0;
    }
    if (protocol == IPPROTO_TCP && end - at >= 20)
        field = at + 16;
    else if (protocol == IPPROTO_UDP && end - at >= 8)
        field = at + 6;
    else
        return 0;
    if (protocol == IPPROTO_UDP && frame[field] == 0 && frame[field + 1] == 0)
        return 0; /* no checksum here (RFC 768): that of a tunnel's inner frame is the open one */
    frame[field] = frame[field + 1] = 0;
    sum += protocol + (end - at);
    sum = add_words(sum, frame + at, end - at);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    sum = ~sum & 0xffff;
    if (sum == 0 && protocol == IPPROTO_UDP)
        sum = 0xffff; /* 0 would mean that there is none (RFC 768) */
    frame[field] = (uint8_t)(sum >> 8);
    frame[field + 1] = (uint8_t)sum;
    return 1;
}

/* Count a packet that was written to `to`; complete its checksum if it came without. */
static void account(struct counts *counts, const struct packet *packet, uint8_t *to, uint32_t wire_length)
{
    const struct tpacket3_hdr *header = &packet->header;

    counts->packets++;
    counts->bytes += wire_length;
    if (header->tp_snaplen < header->tp_len)
        counts->shortened++;
    if (header->tp_status & TP_STATUS_GSO_TCP)
        counts->large++;
    if (header->tp_status & TP_STATUS_CSUMNOTREADY) {
        uint32_t captured;

        memcpy(&captured, to + EPB_CAPTURED, sizeof captured);
        counts->unfinished++;
        if (captured == wire_length && captured >= MAC_ADDRESSES + 2)
            counts->completed += (uint64_t)complete_checksum(to + EPB_HEADER, captured);
    }
}

/* --- other forms of a packet -------------------------------------------------------------------------------------- */

static uint32_t get_u32(const uint8_t *from)
{
    uint32_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

/* Leave of the packet in an Enhanced Packet Block its first `most` bytes; the length on the wire stays. Returns the
 * length of the block. */
static uint32_t cut_packet(uint8_t *to, uint32_t most)
{
    uint32_t padding = (4u - most % 4u) % 4u, length = EPB_OVERHEAD + most + padding;

    put_u32(to + 4, length);
    put_u32(to + EPB_CAPTURED, most);
    memset(to + EPB_HEADER + most, 0, padding);
    put_u32(to + EPB_HEADER + most + padding, length);
    return length;
}

/* Make of an Enhanced Packet Block the record of a pcap file with nanoseconds; returns its length. */
static uint32_t make_record(uint8_t *to)
{
    uint64_t time_ns = (uint64_t)get_u32(to + EPB_TIME) << 32 | get_u32(to + EPB_TIME + 4);
    uint32_t captured = get_u32(to + EPB_CAPTURED), wire_length = get_u32(to + EPB_CAPTURED + 4);

    put_u32(to, (uint32_t)(time_ns / NS_PER_S));
    put_u32(to + 4, (uint32_t)(time_ns % NS_PER_S));
    put_u32(to + 8, captured);
    put_u32(to + 12, wire_length);
    memmove(to + RECORD_HEADER, to + EPB_HEADER, captured);
    return RECORD_HEADER + captured;
}

/* --- run ---------------------------------------------------------------------------------------------------------- */

struct merge {
    int64_t start_ns, end_ns;
    uint8_t *out;
    size_t size, used;
    uint32_t most; /* bytes that are kept of a packet; 0: all */
    int classic;   /* records of a pcap file, not blocks of a pcapng file */
    uint64_t first_ns, last_ns;
    int written, done;
};

static struct fault run_merge(struct merge *merge, struct source *sources, size_t *heap, size_t count)
{
    size_t open = 0;

    for (size_t number = 0; number < count; number++) {
        struct source *source = &sources[number];

        while (source->position < source->count &&
               (source->next_ns = moment_at(source, source->position)) < merge->start_ns)
            source->position++;
        if (source->position < source->count && source->next_ns <= merge->end_ns)
            heap[open++] = number;
    }
    for (size_t place = open; place-- > 0;)
        sift_down(sources, heap, open, place);

    while (open > 0) {
        struct source *source = &sources[heap[0]];
        struct entry entry = entry_at(source, source->position);
        struct packet packet;
        struct frame frame;
        size_t length;
        uint8_t *to = merge->out + merge->used;
        const uint8_t *block = source->block.buf;
        const char *message = load_packet(block, (size_t)source->block.len, entry.offset, &packet);

        if (message != NULL)
            return (struct fault){message, entry.offset};
        if (source->position + PACKETS_AHEAD < source->count)
            prefetch_packet(block, (size_t)source->block.len, entry_at(source, source->position + PACKETS_AHEAD).offset,
                            COPIED);
        frame = frame_of(&packet, block + entry.offset + packet.header.tp_mac);
        length = put_packet(to, merge->size - merge->used, entry.time_ns, &frame, source->interface);
        if (length == 0)
            return (struct fault){NULL, 0};
        account(&source->counts, &packet, to, frame.wire_length);
        if (merge->most != 0 && get_u32(to + EPB_CAPTURED) > merge->most) {
            if (packet.header.tp_snaplen == packet.header.tp_len)
                source->counts.shortened++;
            length = cut_packet(to, merge->most);
        }
        merge->used += merge->classic ? make_record(to) : length;
        if (!merge->written)
            merge->first_ns = entry.time_ns;
        merge->last_ns = entry.time_ns;
        merge->written = 1;
        if (++source->position < source->count)
            source->next_ns = moment_at(source, source->position);
        if (source->position == source->count || source->next_ns > merge->end_ns)
            heap[0] = heap[--open];
        sift_down(sources, heap, open, 0);
    }
    merge->done = 1;
    return (struct fault){NULL, 0};
}

static int parse_source(PyObject *item, struct source *source)
{
    Py_ssize_t position, interface;
    long long shift_ns;

    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "a source is a tuple (block, index, position, interface, shift_ns)");
        return -1;
    }
    if (!PyArg_ParseTuple(item, "y*y*nnL:source", &source->block, &source->index, &position, &interface, &shift_ns))
        return -1;
    source->shift_ns = shift_ns;
    source->count = (size_t)source->index.len / sizeof(struct entry);
    if ((size_t)source->index.len % sizeof(struct entry) != 0)
        PyErr_SetString(PyExc_ValueError, "an index has a broken length");
    else if (position < 0 || (size_t)position > source->count)
        PyErr_SetString(PyExc_ValueError, "a position lies outside its index");
    else if (interface < 0 || (uint64_t)interface > UINT32_MAX)
        PyErr_SetString(PyExc_ValueError, "an interface number is outside 0..4294967295");
    else {
        source->position = (size_t)position;
        source->interface = (uint32_t)interface;
        return 0;
    }
    PyBuffer_Release(&source->block);
    PyBuffer_Release(&source->index);
    return -1;
}

static PyObject *emit_result(const struct merge *merge, const struct source *sources, size_t count)
{
    PyObject *progress = PyTuple_New((Py_ssize_t)count);

    if (progress == NULL)
        return NULL;
    for (size_t number = 0; number < count; number++) {
        const struct source *source = &sources[number];
        const struct counts *counts = &source->counts;
        PyObject *one = Py_BuildValue("(nKKKKKK)", (Py_ssize_t)source->position, (unsigned long long)counts->packets,
                                      (unsigned long long)counts->bytes, (unsigned long long)counts->large,
                                      (unsigned long long)counts->unfinished, (unsigned long long)counts->completed,
                                      (unsigned long long)counts->shortened);

        if (one == NULL || PyTuple_SetItem(progress, (Py_ssize_t)number, one) < 0) {
            Py_DECREF(progress);
            return NULL;
        }
    }
    return Py_BuildValue("(nNKKN)", (Py_ssize_t)merge->used, PyBool_FromLong(merge->done),
                         (unsigned long long)merge->first_ns, (unsigned long long)merge->last_ns, progress);
}

static PyObject *emit(PyObject *module, PyObject *arguments)
{
    PyObject *list, *result = NULL;
    Py_buffer out;
    Py_ssize_t used, wanted, count = 0;
    long long start, end;
    struct merge merge = {0};
    struct source *sources = NULL;
    size_t *heap = NULL;

    if (!PyArg_ParseTuple(arguments, "OLLw*n|Ip:emit", &list, &start, &end, &out, &used, &merge.most, &merge.classic))
        return NULL;
    merge.start_ns = start;
    merge.end_ns = end;
    if (used < 0 || used > out.len) {
        PyErr_SetString(PyExc_ValueError, "used lies outside the output buffer");
        goto finish;
    }
    wanted = PySequence_Size(list);
    if (wanted < 0)
        goto finish;
    sources = PyMem_Calloc((size_t)wanted + 1, sizeof *sources);
    heap = PyMem_Calloc((size_t)wanted + 1, sizeof *heap);
    if (sources == NULL || heap == NULL) {
        PyErr_NoMemory();
        goto finish;
    }
    for (; count < wanted; count++) {
        PyObject *item = PySequence_GetItem(list, count);
        int failed = item == NULL || parse_source(item, &sources[count]) < 0;

        Py_XDECREF(item);
        if (failed)
            goto finish;
    }
    merge.out = out.buf;
    merge.size = (size_t)out.len;
    merge.used = (size_t)used;
    {
        struct fault fault;

        Py_BEGIN_ALLOW_THREADS
        fault = run_merge(&merge, sources, heap, (size_t)count);
        Py_END_ALLOW_THREADS
        if (fault.message != NULL)
            raise_fault(module, fault);
        else
            result = emit_result(&merge, sources, (size_t)count);
    }
finish:
    while (count-- > 0) {
        PyBuffer_Release(&sources[count].block);
        PyBuffer_Release(&sources[count].index);
    }
    PyMem_Free(sources);
    PyMem_Free(heap);
    PyBuffer_Release(&out);
    return result;
}

/* --- module ------------------------------------------------------------------------------------------------------- */

static int execute(PyObject *module)
{
    struct module_state *state = PyModule_GetState(module);

    make_crc_tables();
    state->block_error = PyErr_NewExceptionWithDoc(
        "allegro.capture._packets.BlockError",
        "A block is torn, damaged or no block at all; arguments: what is wrong, offset in the block.",
        PyExc_ValueError, NULL);
    if (state->block_error == NULL || PyModule_AddObjectRef(module, "BlockError", state->block_error) < 0)
        return -1;
    if (PyModule_AddIntConstant(module, "ENTRY_SIZE", sizeof(struct entry)) < 0)
        return -1;
    if (PyModule_AddIntConstant(module, "FLAG_LARGE", FLAG_LARGE) < 0 ||
        PyModule_AddIntConstant(module, "FLAG_UNFINISHED", FLAG_UNFINISHED) < 0)
        return -1;
    return PyModule_AddIntConstant(module, "LARGEST_OVERHEAD", EPB_OVERHEAD + VLAN_TAG + 3);
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    struct module_state *state = PyModule_GetState(module);

    Py_VISIT(state->block_error);
    return 0;
}

static int clear(PyObject *module)
{
    struct module_state *state = PyModule_GetState(module);

    Py_CLEAR(state->block_error);
    return 0;
}

static PyMethodDef methods[] = {
    {"scan_all", scan_all, METH_VARARGS, "scan_all(buffer, places) -> (index of all their packets, numbers of the damaged)"},
    {"emit", emit, METH_VARARGS, "emit(sources, start_ns, end_ns, out, used) -> (used, done, first_ns, last_ns, progress)"},
    {"rows", make_rows, METH_O, "rows(programs) -> these filters, made ready"},
    {"match", match, METH_VARARGS, "match(block, index, start_ns, end_ns, shift_ns, rows) -> (packets, indexes)"},
    {"matching_parts", matching_parts, METH_VARARGS,
     "matching_parts(rows, summary) -> parts of the record in which a packet may match, or None: anywhere"},
    {"summarize", summarize, METH_VARARGS, "summarize(block, room) -> summary of what its packets hold"},
    {"listed", listed, METH_O, "listed(summary) -> for each class of values those that are listed, or None"},
    {"plain_records", plain_records, METH_VARARGS,
     "plain_records(data, position, most, least_sequence, least_offset, type, boot_id, losses, segment) -> list of records"},
    {"sound_places", sound_places, METH_VARARGS,
     "sound_places(buffer, at, records, begin, slack_ns) -> the place of each for scan_all, or None"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_packets",
    .m_doc = "Walk TPACKET_V3 blocks and write them as pcapng packets.",
    .m_size = sizeof(struct module_state),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC PyInit__packets(void)
{
    return PyModuleDef_Init(&definition);
}
