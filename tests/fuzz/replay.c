/* Runs a harness on inputs as lines of hexadecimal digits, without a fuzzer: each is a case that one has found. */
#include "input.h"

#include <stdio.h>

int main(void)
{
    static char line[1 << 17];
    static uint8_t bytes[sizeof line / 2];

    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t length = 0;
        unsigned value;

        while (sscanf(line + 2 * length, "%2x", &value) == 1)
            bytes[length++] = (uint8_t)value;
        LLVMFuzzerTestOneInput(bytes, length);
    }
    return 0;
}
