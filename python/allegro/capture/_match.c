/* Looks for the packets of a block that filters let through: one walk, one key per packet, however many filters, of which only
 * those run that may match (_lookup.h). */
#include "_methods.h"

#include "_block.h"
#include "_key.h"
#include "_lookup.h"

#include <stdlib.h>

#define ROWS "allegro.capture._packets.Rows"
#define FEWEST_ENTRIES 64u
#define LOOKED_AT 3u /* cache lines of a packet */

struct rows { /* filters, made ready; nobody changes them, so that threads may share them */
    size_t count;
    Py_buffer *bytes;
    struct program *programs;
    struct lookup *lookup;
};

struct found { /* an index of what a filter lets through */
    uint8_t *entries;
    size_t count, room;
};

struct job {
    Py_buffer block, index;
    size_t entries;
    int64_t start_ns, end_ns, shift_ns;
    const struct rows *rows;
    struct found *found; /* for each row */
    uint64_t *set;
    size_t packets; /* within the window */
};

/* --- rows --------------------------------------------------------------------------------------------------------- */

static void free_rows(struct rows *rows)
{
    for (size_t number = 0; number < rows->count; number++)
        PyBuffer_Release(&rows->bytes[number]);
    PyMem_Free(rows->bytes);
    PyMem_Free(rows->programs);
    free_lookup(rows->lookup);
    PyMem_Free(rows);
}

static void close_rows(PyObject *capsule)
{
    free_rows(PyCapsule_GetPointer(capsule, ROWS));
}

/* 0, or -1 with an exception. */
static int open_row(PyObject *program, Py_buffer *bytes, struct program *row)
{
    const char *message;

    if (program == NULL || !PyArg_Parse(program, "y*", bytes))
        return -1;
    message = open_program(bytes->buf, (size_t)bytes->len, row);
    if (message == NULL)
        return 0;
    PyErr_SetString(PyExc_ValueError, message);
    PyBuffer_Release(bytes);
    return -1;
}

/* 0, or -1 with an exception; `rows` counts those that are open. */
static int open_rows(PyObject *programs, size_t wanted, struct rows *rows)
{
    rows->bytes = PyMem_Calloc(wanted + 1, sizeof *rows->bytes);
    rows->programs = PyMem_Calloc(wanted + 1, sizeof *rows->programs);
    if (rows->bytes == NULL || rows->programs == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (; rows->count < wanted; rows->count++) {
        PyObject *program = PySequence_GetItem(programs, (Py_ssize_t)rows->count);
        int failed = open_row(program, &rows->bytes[rows->count], &rows->programs[rows->count]) < 0;

        Py_XDECREF(program);
        if (failed)
            return -1;
    }
    rows->lookup = make_lookup(rows->programs, rows->count);
    if (rows->lookup == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

PyObject *make_rows(PyObject *module, PyObject *programs)
{
    Py_ssize_t wanted = PySequence_Size(programs);
    struct rows *rows;
    PyObject *capsule = NULL;

    (void)module;
    if (wanted < 0)
        return NULL;
    rows = PyMem_Calloc(1, sizeof *rows);
    if (rows == NULL)
        return PyErr_NoMemory();
    if (open_rows(programs, (size_t)wanted, rows) == 0)
        capsule = PyCapsule_New(rows, ROWS, close_rows);
    if (capsule == NULL)
        free_rows(rows);
    return capsule;
}

/* --- packets ------------------------------------------------------------------------------------------------------ */

static int put_entry(struct found *found, const struct entry *entry)
{
    if (found->count == found->room) {
        size_t room = found->room ? 2 * found->room : FEWEST_ENTRIES;
        uint8_t *entries = realloc(found->entries, room * sizeof *entry);

        if (entries == NULL)
            return -1;
        found->entries = entries;
        found->room = room;
    }
    memcpy(found->entries + found->count++ * sizeof *entry, entry, sizeof *entry);
    return 0;
}

/* Runs the filters that may match; -1 without memory. */
static int run_rows(struct job *job, const struct key *key, const struct frame *frame, const struct entry *entry)
{
    const struct rows *rows = job->rows;

    look_up(rows->lookup, key, job->set);
    for (size_t word = 0; word < set_words(rows->lookup); word++)
        for (uint64_t left = job->set[word]; left != 0; left &= left - 1) {
            size_t number = 64 * word + (size_t)__builtin_ctzll(left);

            if (run_program(&rows->programs[number], key, frame) && put_entry(&job->found[number], entry) < 0)
                return -1;
        }
    return 0;
}

static struct entry entry_at(const struct job *job, size_t number)
{
    struct entry entry;

    memcpy(&entry, (const uint8_t *)job->index.buf + number * sizeof entry, sizeof entry);
    return entry;
}

/* -1 without memory, else 0; whatever is wrong with the block is in `fault`. */
static int run(struct job *job, struct fault *fault)
{
    for (size_t number = 0; number < job->entries; number++) {
        const uint8_t *block = job->block.buf;
        struct entry entry = entry_at(job, number);
        struct packet packet;
        struct frame frame;
        struct key key;
        int64_t moment_ns = (int64_t)(entry.time_ns - (uint64_t)job->shift_ns);

        if (number + PACKETS_AHEAD < job->entries)
            prefetch_packet(block, (size_t)job->block.len, entry_at(job, number + PACKETS_AHEAD).offset, LOOKED_AT);
        if (moment_ns < job->start_ns || moment_ns > job->end_ns)
            continue;
        *fault = (struct fault){load_packet(block, (size_t)job->block.len, entry.offset, &packet), entry.offset};
        if (fault->message != NULL)
            return 0;
        job->packets++;
        frame = frame_of(&packet, block + entry.offset + packet.header.tp_mac);
        read_key(&frame, &key);
        if (run_rows(job, &key, &frame, &entry) < 0)
            return -1;
    }
    return 0;
}

static PyObject *result_of(const struct job *job)
{
    PyObject *indexes = PyTuple_New((Py_ssize_t)job->rows->count);

    if (indexes == NULL)
        return NULL;
    for (size_t number = 0; number < job->rows->count; number++) {
        const struct found *found = &job->found[number];
        PyObject *index = PyBytes_FromStringAndSize((const char *)found->entries,
                                                    (Py_ssize_t)(found->count * sizeof(struct entry)));

        if (index == NULL || PyTuple_SetItem(indexes, (Py_ssize_t)number, index) < 0) {
            Py_DECREF(indexes);
            return NULL;
        }
    }
    return Py_BuildValue("(nN)", (Py_ssize_t)job->packets, indexes);
}

static PyObject *run_job(PyObject *module, struct job *job)
{
    struct fault fault = {NULL, 0};
    int failed;

    job->found = PyMem_Calloc(job->rows->count + 1, sizeof *job->found);
    job->set = PyMem_Calloc(set_words(job->rows->lookup) + 1, sizeof *job->set);
    if (job->found == NULL || job->set == NULL)
        return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS
    failed = run(job, &fault) < 0;
    Py_END_ALLOW_THREADS
    if (failed)
        return PyErr_NoMemory();
    return fault.message != NULL ? raise_fault(module, fault) : result_of(job);
}

PyObject *match(PyObject *module, PyObject *arguments)
{
    PyObject *rows, *result = NULL;
    struct job job = {0};
    long long start_ns, end_ns, shift_ns;

    if (!PyArg_ParseTuple(arguments, "y*y*LLLO:match", &job.block, &job.index, &start_ns, &end_ns, &shift_ns, &rows))
        return NULL;
    job.start_ns = start_ns;
    job.end_ns = end_ns;
    job.shift_ns = shift_ns;
    job.entries = (size_t)job.index.len / sizeof(struct entry);
    job.rows = PyCapsule_GetPointer(rows, ROWS);
    if (job.rows != NULL && (size_t)job.index.len % sizeof(struct entry) != 0)
        PyErr_SetString(PyExc_ValueError, "an index has a broken length");
    else if (job.rows != NULL)
        result = run_job(module, &job);
    for (size_t number = 0; job.found != NULL && number < job.rows->count; number++)
        free(job.found[number].entries);
    PyMem_Free(job.found);
    PyMem_Free(job.set);
    PyBuffer_Release(&job.block);
    PyBuffer_Release(&job.index);
    return result;
}

/* Parts that lie one behind the other become one place. */
static PyObject *places_of_parts(const struct summary *summary, uint32_t parts)
{
    PyObject *places = PyList_New(0);

    for (uint32_t part = 0, end; places != NULL && part < summary->parts; part = end) {
        uint32_t packets = 0;
        PyObject *place;

        for (end = part; end < summary->parts && (parts >> end & 1); end++)
            packets += summary->packets[end];
        if (end == part) {
            end++;
            continue;
        }
        if (packets == 0)
            continue;
        place = Py_BuildValue("(III)", summary->begin[part], summary->begin[end], packets);
        if (place == NULL || PyList_Append(places, place) < 0)
            Py_CLEAR(places);
        Py_XDECREF(place);
    }
    return places;
}

PyObject *matching_parts(PyObject *module, PyObject *arguments)
{
    PyObject *capsule;
    Py_buffer known;
    struct summary summary;
    const struct rows *rows;
    const char *message;
    uint32_t found = 0, all = 0;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "Oy*:matching_parts", &capsule, &known))
        return NULL;
    rows = PyCapsule_GetPointer(capsule, ROWS);
    message = rows != NULL ? open_summary(known.buf, (size_t)known.len, &summary) : NULL;
    if (message != NULL)
        PyErr_SetString(PyExc_ValueError, message);
    else if (rows != NULL)
        all = all_parts(&summary);
    for (size_t number = 0; found != all && number < rows->count; number++)
        found |= may_match(&rows->programs[number], &summary);
    PyBuffer_Release(&known);
    if (rows == NULL || message != NULL)
        return NULL;
    if (found == all)
        return Py_NewRef(Py_None);
    return places_of_parts(&summary, found);
}

/* The values of a class as a tuple; None if they are not listed. */
static PyObject *list_of(const struct summary *summary, uint32_t class)
{
    PyObject *values;

    if (!(summary->exact >> class & 1))
        Py_RETURN_NONE;
    values = PyTuple_New(summary->count[class]);
    for (uint32_t number = 0; values != NULL && number < summary->count[class]; number++) {
        uint32_t value;
        PyObject *made;

        memcpy(&value, summary->list[class] + number * sizeof value, sizeof value);
        made = PyLong_FromUnsignedLong(value);
        if (made == NULL)
            Py_CLEAR(values);
        else
            PyTuple_SetItem(values, number, made);
    }
    return values;
}

PyObject *listed(PyObject *module, PyObject *buffer)
{
    Py_buffer bytes;
    struct summary summary;
    const char *message;
    PyObject *result = NULL;

    (void)module;
    if (PyObject_GetBuffer(buffer, &bytes, PyBUF_SIMPLE) < 0)
        return NULL;
    message = open_summary(bytes.buf, (size_t)bytes.len, &summary);
    if (message != NULL)
        PyErr_SetString(PyExc_ValueError, message);
    else
        result = PyTuple_New(CLASSES);
    for (uint32_t class = 0; result != NULL && class < CLASSES; class++) {
        PyObject *values = list_of(&summary, class);

        if (values == NULL)
            Py_CLEAR(result);
        else
            PyTuple_SetItem(result, class, values);
    }
    PyBuffer_Release(&bytes);
    return result;
}

PyObject *summarize(PyObject *module, PyObject *arguments)
{
    Py_buffer block;
    Py_ssize_t room;
    uint8_t *bytes;
    size_t length;
    PyObject *result;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*n:summarize", &block, &room))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    bytes = summary_of(block.buf, (size_t)block.len, room > 0 ? (size_t)room : 0, &length);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&block);
    result = PyBytes_FromStringAndSize((const char *)bytes, (Py_ssize_t)length);
    free(bytes);
    return result;
}
