/* What the files of the extension that speak to Python share. Included before anything else. */
#ifndef ALLEGRO_METHODS_H
#define ALLEGRO_METHODS_H

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

#include <stddef.h>

struct fault {
    const char *message; /* NULL: all is well */
    size_t offset;
};

/* Raise BlockError; returns NULL. */
PyObject *raise_fault(PyObject *module, struct fault fault);

void make_crc_tables(void); /* before `plain_records` and `sound_places` */

/* The methods of the module: what each does for a caller stands in _packets.pyi. */
PyObject *scan_all(PyObject *module, PyObject *arguments);
PyObject *emit(PyObject *module, PyObject *arguments);
PyObject *make_rows(PyObject *module, PyObject *programs);
PyObject *match(PyObject *module, PyObject *arguments);
PyObject *matching_parts(PyObject *module, PyObject *arguments);
PyObject *listed(PyObject *module, PyObject *buffer);
PyObject *summarize(PyObject *module, PyObject *arguments);
PyObject *plain_records(PyObject *module, PyObject *arguments);
PyObject *sound_places(PyObject *module, PyObject *arguments);

#endif
