/* Programs of pcap-filter expressions: classic BPF, as libpcap compiles them. */
#ifndef ALLEGRO_BPF_H
#define ALLEGRO_BPF_H

#include "_block.h"

#include <linux/filter.h>

/* NULL if `program` ends whatever it is run on, touching nothing but its own memory; else what is wrong. */
const char *check_bpf(const uint8_t *program, size_t count);

/* Run a checked program on a frame with its tag put back; whether it answers with anything but 0.
 * `program` may lie at any address, as a part of other bytes. */
int run_bpf(const uint8_t *program, const struct frame *frame);

#endif
