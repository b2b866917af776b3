/* The part of the extraction that costs per packet: walk TPACKET_V3 blocks, merge them by time, write pcapng. Here: what
 * Python sees of it.
 *
 * A block comes from a disk and may be torn, damaged or made by somebody hostile: every number read from it is checked
 * against the block's own bounds before it is used, in scan_all() and again in emit(). Buffers are held and the GIL is
 * released while the loops run; each header is copied before it is checked, so that a buffer that changes meanwhile
 * cannot undo a check.
 */
#include "_methods.h"

#include "_packet_block.h"

struct module_state {
    PyObject *block_error;
};

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
