/* Lists the records of an index, and checks the heads of records that were read, many in one call: what costs per record when
 * very many small ones are read. allegro/capture/ring/index.py and record.py do the same one by one, and say what each field is.
 *
 * Both may be damaged or made by somebody hostile: a number counts only if the checksum over it does, and nothing read is
 * taken for a place in memory that was not checked against the buffer's own length.
 */
#include "_methods.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* --- CRC-32 (IEEE 802.3, as of zlib) ------------------------------------------------------------------------------ */

static uint32_t crc_table[4][256];

void make_crc_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;

        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
        crc_table[0][byte] = value;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int table = 1; table < 4; table++) {
            uint32_t before = crc_table[table - 1][byte];

            crc_table[table][byte] = before >> 8 ^ crc_table[0][before & 0xff];
        }
}

/* Four bytes at a time, by as many tables (Kounavis and Berry, 2005). */
static uint32_t crc32_of(const uint8_t *bytes, size_t length, uint32_t seed)
{
    uint32_t crc = ~seed;

    for (; length >= 4; bytes += 4, length -= 4) {
        crc ^= (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        crc = crc_table[3][crc & 0xff] ^ crc_table[2][crc >> 8 & 0xff] ^ crc_table[1][crc >> 16 & 0xff] ^ crc_table[0][crc >> 24];
    }
    while (length-- > 0)
        crc = crc >> 8 ^ crc_table[0][(crc ^ *bytes++) & 0xff];
    return ~crc;
}

/* --- a Record, which is a tuple ----------------------------------------------------------------------------------- */

enum record_field { /* in the order of allegro.capture.ring.record.Record */
    SEQUENCE, RUN, LENGTH, USED, PACKETS, PORT_INDEX, FLAGS, PORT_NAME, FIRST_NS, LAST_NS, BOOT_ID, FIRST_BOOT_NS, LAST_BOOT_NS,
    WALL_OFFSET_NS, STEP_NS, LOSSES, OFFSET, SEGMENT, RECORD_FIELDS
};

#define NAME_SIZE 16u

/* --- the index ---------------------------------------------------------------------------------------------------- */

#define INDEX_SEED 0xa11e6202u
#define KIND_RECORD 1u
#define FLAG_KNOWS_BOOT 0x80u
#define FLAG_HAS_MORE 0x40u
#define LATEST_NS (1ull << 62) /* later times are no times: left to whoever takes numbers of any size */

struct index_entry { /* allegro/capture/ring/index.py: _ENTRY */
    uint32_t crc;
    uint8_t kind, flags;
    uint16_t port_index;
    uint64_t sequence, run;
    uint32_t offset, length, used, packets, drops, freezes, missed, padding;
    uint64_t first_ns, last_ns;
    char port_name[NAME_SIZE];
    uint64_t first_boot_ns;
};

struct shared { /* between records that stand one behind the other; borrowed but `run`, `names` and `zero` */
    PyTypeObject *type;
    PyObject *boot_id, *no_boot_id, *losses, *segment, *run, *zero;
    uint64_t run_number;
    PyObject *names[8];
    char name_bytes[8][NAME_SIZE];
    size_t next_name;
};

static int is_plain(const struct index_entry *entry, uint64_t least_sequence, uint64_t least_offset)
{
    return entry->kind == KIND_RECORD && !(entry->flags & FLAG_HAS_MORE) && !(entry->drops | entry->freezes | entry->missed)
        && entry->first_ns < LATEST_NS && entry->last_ns < LATEST_NS && entry->first_boot_ns < LATEST_NS
        && entry->sequence >= least_sequence && entry->offset >= least_offset
        && crc32_of((const uint8_t *)entry + 4, sizeof *entry - 4, INDEX_SEED) == entry->crc;
}

static PyObject *name_of(struct shared *shared, const char *bytes)
{
    size_t place, length = NAME_SIZE;

    for (place = 0; place < 8 && shared->names[place] != NULL; place++)
        if (memcmp(shared->name_bytes[place], bytes, NAME_SIZE) == 0)
            return Py_NewRef(shared->names[place]);
    place = shared->next_name;
    shared->next_name = (place + 1) % 8;
    while (length > 0 && bytes[length - 1] == 0)
        length--;
    Py_XDECREF(shared->names[place]);
    memcpy(shared->name_bytes[place], bytes, NAME_SIZE);
    shared->names[place] = PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)length, "replace");
    return Py_XNewRef(shared->names[place]);
}

static PyObject *run_of(struct shared *shared, uint64_t number)
{
    if (shared->run == NULL || shared->run_number != number) {
        Py_XDECREF(shared->run);
        shared->run = PyLong_FromUnsignedLongLong(number);
        shared->run_number = number;
    }
    return Py_XNewRef(shared->run);
}

static PyObject *record_of(struct shared *shared, const struct index_entry *entry)
{
    newfunc make = (newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new);
    int knows_boot = (entry->flags & FLAG_KNOWS_BOOT) != 0;
    int64_t offset_ns = knows_boot ? (int64_t)(entry->first_ns - entry->first_boot_ns) : 0;
    int64_t last_boot_ns = knows_boot ? (int64_t)entry->last_ns - offset_ns : 0;
    PyObject *values[RECORD_FIELDS] = {
        [SEQUENCE] = PyLong_FromUnsignedLongLong(entry->sequence),
        [RUN] = run_of(shared, entry->run),
        [LENGTH] = PyLong_FromUnsignedLong(entry->length),
        [USED] = PyLong_FromUnsignedLong(entry->used),
        [PACKETS] = PyLong_FromUnsignedLong(entry->packets),
        [PORT_INDEX] = PyLong_FromLong(entry->port_index),
        [FLAGS] = PyLong_FromUnsignedLong(entry->flags & ~(FLAG_KNOWS_BOOT | FLAG_HAS_MORE)),
        [PORT_NAME] = name_of(shared, entry->port_name),
        [FIRST_NS] = PyLong_FromUnsignedLongLong(entry->first_ns),
        [LAST_NS] = PyLong_FromUnsignedLongLong(entry->last_ns),
        [BOOT_ID] = Py_NewRef(knows_boot ? shared->boot_id : shared->no_boot_id),
        [FIRST_BOOT_NS] = PyLong_FromUnsignedLongLong(entry->first_boot_ns),
        [LAST_BOOT_NS] = PyLong_FromLongLong(last_boot_ns),
        [WALL_OFFSET_NS] = PyLong_FromLongLong(offset_ns),
        [STEP_NS] = Py_NewRef(shared->zero),
        [LOSSES] = Py_NewRef(shared->losses),
        [OFFSET] = PyLong_FromUnsignedLong(entry->offset),
        [SEGMENT] = Py_NewRef(shared->segment),
    };
    PyObject *tuple = PyTuple_New(RECORD_FIELDS), *arguments = NULL, *record = NULL;
    int whole = tuple != NULL;

    for (Py_ssize_t place = 0; place < RECORD_FIELDS; place++) {
        whole = whole && values[place] != NULL;
        if (tuple == NULL)
            Py_XDECREF(values[place]);
        else if (PyTuple_SetItem(tuple, place, values[place]) < 0)
            whole = 0;
    }
    if (whole)
        arguments = PyTuple_Pack(1, tuple);
    if (arguments != NULL)
        record = make(shared->type, arguments, NULL); /* as Record._make does */
    Py_XDECREF(arguments);
    Py_XDECREF(tuple);
    return record;
}

PyObject *plain_records(PyObject *module, PyObject *arguments)
{
    Py_buffer data;
    Py_ssize_t position, most;
    unsigned long long least_sequence, least_offset;
    struct shared shared = {.next_name = 0};
    PyObject *found = NULL;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*nnKKO!SOO:plain_records", &data, &position, &most, &least_sequence, &least_offset,
                          &PyType_Type, &shared.type, &shared.boot_id, &shared.losses, &shared.segment))
        return NULL;
    if (!PyType_IsSubtype(shared.type, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "a record is a tuple");
        goto finish;
    }
    shared.zero = PyLong_FromLong(0);
    shared.no_boot_id = PyBytes_FromStringAndSize(NULL, 0);
    if (shared.zero != NULL && shared.no_boot_id != NULL)
        found = PyList_New(0);
    for (Py_ssize_t count = 0; found != NULL && count < most && position >= 0; count++) {
        struct index_entry entry;
        PyObject *record;

        if (position > data.len - (Py_ssize_t)sizeof entry)
            break;
        memcpy(&entry, (const uint8_t *)data.buf + position, sizeof entry);
        if (!is_plain(&entry, least_sequence, least_offset))
            break;
        record = record_of(&shared, &entry);
        if (record == NULL || PyList_Append(found, record) < 0)
            Py_CLEAR(found);
        Py_XDECREF(record);
        least_sequence = entry.sequence + 1;
        least_offset = (uint64_t)entry.offset + entry.length;
        position += (Py_ssize_t)sizeof entry;
    }
finish:
    for (size_t place = 0; place < 8; place++)
        Py_XDECREF(shared.names[place]);
    Py_XDECREF(shared.run);
    Py_XDECREF(shared.zero);
    Py_XDECREF(shared.no_boot_id);
    PyBuffer_Release(&data);
    return found;
}

/* --- heads of records --------------------------------------------------------------------------------------------- */

#define DESCRIPTOR_SIZE 48u
#define STATUS_OFFSET 8u
#define STATUS_SIZE 4u
#define BLOCK_LENGTH_OFFSET 20u
#define HEAD_SIZE 256u
#define ALIGNMENT 4096u
#define FLAG_TRAILER 1u

static const char MAGIC[8] = "ALLEGRO1", TRAILER_MAGIC[8] = "ALLEGEND";

struct record_header { /* allegro/capture/ring/record.py: _HEADER */
    char magic[8];
    uint8_t ring_id[16];
    uint64_t sequence, run;
    uint32_t length, used, packets;
    uint16_t port_index, flags;
    char port_name[NAME_SIZE];
    uint64_t first_ns, last_ns;
    uint32_t drops, freezes, missed;
    uint32_t crc; /* of all before it, the descriptor of the block included */
};

struct trailer {
    char magic[8];
    uint64_t sequence;
};

/* Whether a record with this number lies here, from beginning to end, as far as its header and, if that is there, its trailer
 * tell. */
static int is_sound(const uint8_t *block, size_t size, uint64_t sequence, int head_only)
{
    static const uint8_t no_status[STATUS_SIZE] = {0};
    const size_t crc_offset = DESCRIPTOR_SIZE + offsetof(struct record_header, crc);
    struct record_header header;
    struct trailer trailer;
    uint32_t block_length, crc;

    if (size < HEAD_SIZE)
        return 0;
    memcpy(&header, block + DESCRIPTOR_SIZE, sizeof header);
    memcpy(&block_length, block + BLOCK_LENGTH_OFFSET, sizeof block_length);
    if (memcmp(header.magic, MAGIC, sizeof header.magic) != 0 || header.sequence != sequence)
        return 0;
    crc = crc32_of(block, STATUS_OFFSET, 0);
    crc = crc32_of(no_status, STATUS_SIZE, crc);
    crc = crc32_of(block + STATUS_OFFSET + STATUS_SIZE, crc_offset - STATUS_OFFSET - STATUS_SIZE, crc);
    if (crc != header.crc || header.length % ALIGNMENT || header.used < HEAD_SIZE || header.used > header.length
        || block_length != header.used || header.length > size)
        return 0;
    if (head_only || !(header.flags & FLAG_TRAILER))
        return 1;
    memcpy(&trailer, block + header.length - sizeof trailer, sizeof trailer);
    return memcmp(trailer.magic, TRAILER_MAGIC, sizeof trailer.magic) == 0 && trailer.sequence == sequence;
}

static uint64_t number_in(PyObject *record, Py_ssize_t field)
{
    PyObject *value = PyTuple_GetItem(record, field);

    return value == NULL ? 0 : PyLong_AsUnsignedLongLong(value);
}

/* The place of a record for scan_all; None if it is not sound. */
static PyObject *place_of(PyObject *record, const Py_buffer *buffer, size_t at, uint64_t begin, uint64_t slack_ns,
                          int head_only)
{
    uint64_t sequence = number_in(record, SEQUENCE), length = number_in(record, LENGTH), used = number_in(record, USED);
    uint64_t first_ns = number_in(record, FIRST_NS), last_ns = number_in(record, LAST_NS), offset = number_in(record, OFFSET);
    uint64_t place = at + (offset - begin);

    if (PyErr_Occurred())
        return NULL;
    if (offset < begin || place > (uint64_t)buffer->len || length > (uint64_t)buffer->len - place) {
        PyErr_SetString(PyExc_ValueError, "a record lies outside the buffer");
        return NULL;
    }
    /* `used` is what the index says: no more is looked at than is the record's own. */
    if (used > length || !is_sound((const uint8_t *)buffer->buf + place, (size_t)length, sequence, head_only))
        return Py_NewRef(Py_None);
    first_ns = first_ns > slack_ns ? first_ns - slack_ns : 0;
    last_ns = last_ns < UINT64_MAX - slack_ns ? last_ns + slack_ns : UINT64_MAX;
    return Py_BuildValue("(KKKK)", place, used, first_ns, last_ns);
}

PyObject *sound_places(PyObject *module, PyObject *arguments)
{
    Py_buffer buffer;
    PyObject *records, *places = NULL;
    Py_ssize_t at;
    unsigned long long begin, slack_ns;
    int head_only = 0;

    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*nO!KK|p:sound_places", &buffer, &at, &PyList_Type, &records, &begin, &slack_ns,
                          &head_only))
        return NULL;
    if (at < 0 || at > buffer.len)
        PyErr_SetString(PyExc_ValueError, "a record lies outside the buffer");
    else
        places = PyList_New(0);
    for (Py_ssize_t number = 0; places != NULL && number < PyList_Size(records); number++) {
        PyObject *record = PyList_GetItem(records, number), *place = NULL;

        if (record == NULL || !PyTuple_Check(record))
            PyErr_SetString(PyExc_TypeError, "a record is a tuple");
        else
            place = place_of(record, &buffer, (size_t)at, begin, slack_ns, head_only);
        if (place == NULL || PyList_Append(places, place) < 0)
            Py_CLEAR(places);
        Py_XDECREF(place);
    }
    PyBuffer_Release(&buffer);
    return places;
}
