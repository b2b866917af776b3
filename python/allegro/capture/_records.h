/* What costs per record when very many small ones are listed and checked: allegro/capture/ring/index.py and record.py do the
 * same one by one, and say what each field is. */
#ifndef ALLEGRO_RECORDS_H
#define ALLEGRO_RECORDS_H

#include <Python.h>

void make_crc_tables(void); /* before anything else */

/* The methods `plain_records` and `sound_places` of the module: _packets.pyi. */
PyObject *plain_records(PyObject *module, PyObject *arguments);
PyObject *sound_places(PyObject *module, PyObject *arguments);

#endif
