/* What the files of the extension that speak to Python share. */
#ifndef ALLEGRO_MATCH_H
#define ALLEGRO_MATCH_H

#include <Python.h>

#include <stddef.h>

struct fault {
    const char *message; /* NULL: all is well */
    size_t offset;
};

/* Raise BlockError; returns NULL. */
PyObject *raise_fault(PyObject *module, struct fault fault);

/* The method `rows` of the module, and what it makes: _packets.pyi. */
PyObject *make_rows(PyObject *module, PyObject *programs);

/* The method `match` of the module: _packets.pyi. */
PyObject *match(PyObject *module, PyObject *arguments);

/* The method `matching_parts`: the same place. */
PyObject *matching_parts(PyObject *module, PyObject *arguments);

/* The methods `listed` and `summarize`: the same place. */
PyObject *listed(PyObject *module, PyObject *buffer);
PyObject *summarize(PyObject *module, PyObject *arguments);

#endif
