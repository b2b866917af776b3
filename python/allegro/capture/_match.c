/* Looks for the packets of a block that filters let through: one walk, one key per packet, however many filters. */
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

#include "_match.h"

#include "_block.h"
#include "_key.h"
#include "_program.h"

struct row { /* a filter, and the index of what it lets through */
    Py_buffer bytes;
    struct program program;
    uint8_t *entries;
    size_t count;
};

struct job {
    Py_buffer block, index;
    size_t entries;
    int64_t start_ns, end_ns, shift_ns;
    struct row *rows;
    size_t count;
    size_t packets; /* within the window */
};

static struct fault run(struct job *job)
{
    for (size_t number = 0; number < job->entries; number++) {
        const uint8_t *block = job->block.buf;
        struct entry entry;
        struct packet packet;
        struct frame frame;
        struct key key;
        const char *message;
        int64_t moment_ns;

        memcpy(&entry, (const uint8_t *)job->index.buf + number * sizeof entry, sizeof entry);
        moment_ns = (int64_t)(entry.time_ns - (uint64_t)job->shift_ns);
        if (moment_ns < job->start_ns || moment_ns > job->end_ns)
            continue;
        message = load_packet(block, (size_t)job->block.len, entry.offset, &packet);
        if (message != NULL)
            return (struct fault){message, entry.offset};
        job->packets++;
        frame = frame_of(&packet, block + entry.offset + packet.header.tp_mac);
        read_key(&frame, &key);
        for (size_t place = 0; place < job->count; place++) {
            struct row *row = &job->rows[place];

            if (run_program(&row->program, &key, &frame))
                memcpy(row->entries + row->count++ * sizeof entry, &entry, sizeof entry);
        }
    }
    return (struct fault){NULL, 0};
}

/* 0, or -1 with an exception; what of `row` is set is given back by close_rows in any case. */
static int open_row(PyObject *program, size_t entries, struct row *row)
{
    const char *message;

    if (!PyArg_Parse(program, "y*", &row->bytes))
        return -1;
    message = open_program(row->bytes.buf, (size_t)row->bytes.len, &row->program);
    if (message != NULL) {
        PyErr_SetString(PyExc_ValueError, message);
        return -1;
    }
    row->entries = PyMem_Malloc(entries * sizeof(struct entry) + 1);
    if (row->entries == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int open_rows(PyObject *programs, struct job *job)
{
    Py_ssize_t wanted = PySequence_Size(programs);

    if (wanted < 0)
        return -1;
    job->rows = PyMem_Calloc((size_t)wanted + 1, sizeof *job->rows);
    if (job->rows == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    while (job->count < (size_t)wanted) {
        PyObject *program = PySequence_GetItem(programs, (Py_ssize_t)job->count);
        int failed = program == NULL || open_row(program, job->entries, &job->rows[job->count++]) < 0;

        Py_XDECREF(program);
        if (failed)
            return -1;
    }
    return 0;
}

static void close_rows(struct job *job)
{
    for (size_t place = 0; place < job->count; place++) {
        PyBuffer_Release(&job->rows[place].bytes);
        PyMem_Free(job->rows[place].entries);
    }
    PyMem_Free(job->rows);
}

static PyObject *result_of(const struct job *job)
{
    PyObject *indexes = PyTuple_New((Py_ssize_t)job->count);

    if (indexes == NULL)
        return NULL;
    for (size_t place = 0; place < job->count; place++) {
        const struct row *row = &job->rows[place];
        PyObject *index = PyBytes_FromStringAndSize((const char *)row->entries,
                                                    (Py_ssize_t)(row->count * sizeof(struct entry)));

        if (index == NULL || PyTuple_SetItem(indexes, (Py_ssize_t)place, index) < 0) {
            Py_DECREF(indexes);
            return NULL;
        }
    }
    return Py_BuildValue("(nN)", (Py_ssize_t)job->packets, indexes);
}

PyObject *match(PyObject *module, PyObject *arguments)
{
    PyObject *programs, *result = NULL;
    struct job job = {0};
    long long start_ns, end_ns, shift_ns;

    if (!PyArg_ParseTuple(arguments, "y*y*LLLO:match", &job.block, &job.index, &start_ns, &end_ns, &shift_ns, &programs))
        return NULL;
    job.start_ns = start_ns;
    job.end_ns = end_ns;
    job.shift_ns = shift_ns;
    job.entries = (size_t)job.index.len / sizeof(struct entry);
    if ((size_t)job.index.len % sizeof(struct entry) != 0) {
        PyErr_SetString(PyExc_ValueError, "an index has a broken length");
    } else if (open_rows(programs, &job) == 0) {
        struct fault fault;

        Py_BEGIN_ALLOW_THREADS
        fault = run(&job);
        Py_END_ALLOW_THREADS
        result = fault.message != NULL ? raise_fault(module, fault) : result_of(&job);
    }
    close_rows(&job);
    PyBuffer_Release(&job.block);
    PyBuffer_Release(&job.index);
    return result;
}

PyObject *may_match_record(PyObject *module, PyObject *arguments)
{
    Py_buffer bytes, known;
    struct program program;
    struct summary summary;
    const char *message;
    int answer = 0;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*y*:may_match", &bytes, &known))
        return NULL;
    message = open_program(bytes.buf, (size_t)bytes.len, &program);
    if (message == NULL)
        message = open_summary(known.buf, (size_t)known.len, &summary);
    if (message == NULL)
        answer = may_match(&program, &summary);
    PyBuffer_Release(&bytes);
    PyBuffer_Release(&known);
    if (message != NULL) {
        PyErr_SetString(PyExc_ValueError, message);
        return NULL;
    }
    return PyBool_FromLong(answer);
}
