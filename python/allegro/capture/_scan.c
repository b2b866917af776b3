/* From blocks to an index of their packets, in the order of their times.
 *
 * Layouts: linux/if_packet.h and Documentation/networking/packet_mmap.rst (blocks, host byte order).
 * What the function does for a caller: _packets.pyi.
 */
#include "_methods.h"

#include <stdlib.h>

#include "_block.h"

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

PyObject *scan_all(PyObject *module, PyObject *arguments)
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
