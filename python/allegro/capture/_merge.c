/* Packets of several sources, merged by time into the packets of a file. What the function does for a caller: _packets.pyi. */
#include "_methods.h"

#include "_checksum.h"
#include "_packet_block.h"

#define COPIED 14u /* cache lines that are fetched ahead of a packet; the processor sees that more of a long one follow */

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

PyObject *emit(PyObject *module, PyObject *arguments)
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
