/* Runs classic BPF on a frame. The kernel's documentation (networking/filter.rst) describes the machine; loads of what
 * was not captured answer with 0, as there. Only what libpcap generates for a file is understood: no jumps backwards, no
 * access to what the kernel knows besides the frame.
 */
#include "_bpf.h"

static struct sock_filter instruction_at(const uint8_t *program, size_t number)
{
    struct sock_filter instruction;

    memcpy(&instruction, program + number * sizeof instruction, sizeof instruction);
    return instruction;
}

static const char *check_instruction(const struct sock_filter *one, size_t left)
{
    switch (one->code) {
    case BPF_LD | BPF_W | BPF_ABS:
    case BPF_LD | BPF_H | BPF_ABS:
    case BPF_LD | BPF_B | BPF_ABS:
    case BPF_LD | BPF_W | BPF_IND:
    case BPF_LD | BPF_H | BPF_IND:
    case BPF_LD | BPF_B | BPF_IND:
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_IMM:
    case BPF_LDX | BPF_B | BPF_MSH:
    case BPF_ALU | BPF_ADD | BPF_K:
    case BPF_ALU | BPF_SUB | BPF_K:
    case BPF_ALU | BPF_MUL | BPF_K:
    case BPF_ALU | BPF_AND | BPF_K:
    case BPF_ALU | BPF_OR | BPF_K:
    case BPF_ALU | BPF_XOR | BPF_K:
    case BPF_ALU | BPF_LSH | BPF_K:
    case BPF_ALU | BPF_RSH | BPF_K:
    case BPF_ALU | BPF_ADD | BPF_X:
    case BPF_ALU | BPF_SUB | BPF_X:
    case BPF_ALU | BPF_MUL | BPF_X:
    case BPF_ALU | BPF_DIV | BPF_X:
    case BPF_ALU | BPF_MOD | BPF_X:
    case BPF_ALU | BPF_AND | BPF_X:
    case BPF_ALU | BPF_OR | BPF_X:
    case BPF_ALU | BPF_XOR | BPF_X:
    case BPF_ALU | BPF_LSH | BPF_X:
    case BPF_ALU | BPF_RSH | BPF_X:
    case BPF_ALU | BPF_NEG:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A:
        return NULL;
    case BPF_ALU | BPF_DIV | BPF_K:
    case BPF_ALU | BPF_MOD | BPF_K:
        return one->k == 0 ? "a BPF program divides by zero" : NULL;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX:
        return one->k >= BPF_MEMWORDS ? "a BPF program uses memory that it has not" : NULL;
    case BPF_JMP | BPF_JA:
        return one->k >= left ? "a BPF program jumps beyond its end" : NULL;
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_JMP | BPF_JSET | BPF_K:
    case BPF_JMP | BPF_JEQ | BPF_X:
    case BPF_JMP | BPF_JGT | BPF_X:
    case BPF_JMP | BPF_JGE | BPF_X:
    case BPF_JMP | BPF_JSET | BPF_X:
        return one->jt >= left || one->jf >= left ? "a BPF program jumps beyond its end" : NULL;
    default:
        return "a BPF program has an instruction that is not known";
    }
}

const char *check_bpf(const uint8_t *program, size_t count)
{
    for (size_t number = 0; number < count; number++) {
        struct sock_filter one = instruction_at(program, number);
        const char *message = check_instruction(&one, count - number - 1);

        if (message != NULL)
            return message;
    }
    if (count == 0 || BPF_CLASS(instruction_at(program, count - 1).code) != BPF_RET)
        return "a BPF program does not end with an answer";
    return NULL;
}

static uint32_t byte_at(const struct frame *frame, uint32_t offset)
{
    if (!frame->restored || offset < MAC_ADDRESSES)
        return frame->bytes[offset];
    if (offset < MAC_ADDRESSES + VLAN_TAG)
        return frame->tag[offset - MAC_ADDRESSES];
    return frame->bytes[offset - VLAN_TAG];
}

/* Whether `size` bytes (1, 2 or 4) at `offset` were captured; then they are read, most significant first. */
static int load(const struct frame *frame, uint64_t offset, uint32_t size, uint32_t *value)
{
    uint64_t length = (uint64_t)frame->length + (frame->restored ? VLAN_TAG : 0);

    if (offset + size > length)
        return 0;
    *value = 0;
    for (uint32_t number = 0; number < size; number++)
        *value = *value << 8 | byte_at(frame, (uint32_t)offset + number);
    return 1;
}

static uint32_t size_of(uint16_t code)
{
    return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

/* Division by zero (of X) is the caller's matter. */
static uint32_t calculate(uint16_t operation, uint32_t a, uint32_t b)
{
    switch (operation) {
    case BPF_ADD:
        return a + b;
    case BPF_SUB:
        return a - b;
    case BPF_MUL:
        return a * b;
    case BPF_DIV:
        return a / b;
    case BPF_MOD:
        return a % b;
    case BPF_AND:
        return a & b;
    case BPF_OR:
        return a | b;
    case BPF_XOR:
        return a ^ b;
    case BPF_LSH:
        return b < 32 ? a << b : 0;
    case BPF_RSH:
        return b < 32 ? a >> b : 0;
    default:
        return 0u - a; /* BPF_NEG */
    }
}

static int jumps(uint16_t operation, uint32_t a, uint32_t b)
{
    switch (operation) {
    case BPF_JEQ:
        return a == b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    default:
        return (a & b) != 0; /* BPF_JSET */
    }
}

int run_bpf(const uint8_t *program, const struct frame *frame)
{
    uint32_t memory[BPF_MEMWORDS] = {0};
    uint32_t a = 0, x = 0;

    for (size_t at = 0;; at++) {
        struct sock_filter one = instruction_at(program, at);
        uint32_t operand = BPF_SRC(one.code) == BPF_X ? x : one.k;

        switch (BPF_CLASS(one.code)) {
        case BPF_LD:
            if (BPF_MODE(one.code) == BPF_ABS) {
                if (!load(frame, one.k, size_of(one.code), &a))
                    return 0;
            } else if (BPF_MODE(one.code) == BPF_IND) {
                if (!load(frame, (uint64_t)x + one.k, size_of(one.code), &a))
                    return 0;
            } else if (BPF_MODE(one.code) == BPF_LEN) {
                a = frame->wire_length;
            } else {
                a = BPF_MODE(one.code) == BPF_MEM ? memory[one.k] : one.k;
            }
            break;
        case BPF_LDX:
            if (BPF_MODE(one.code) == BPF_MSH) { /* length of an IPv4 header */
                if (!load(frame, one.k, 1, &x))
                    return 0;
                x = (x & 15) << 2;
            } else if (BPF_MODE(one.code) == BPF_LEN) {
                x = frame->wire_length;
            } else {
                x = BPF_MODE(one.code) == BPF_MEM ? memory[one.k] : one.k;
            }
            break;
        case BPF_ST:
            memory[one.k] = a;
            break;
        case BPF_STX:
            memory[one.k] = x;
            break;
        case BPF_ALU:
            if ((BPF_OP(one.code) == BPF_DIV || BPF_OP(one.code) == BPF_MOD) && operand == 0)
                return 0;
            a = calculate(BPF_OP(one.code), a, operand);
            break;
        case BPF_JMP:
            if (BPF_OP(one.code) == BPF_JA)
                at += one.k;
            else
                at += jumps(BPF_OP(one.code), a, operand) ? one.jt : one.jf;
            break;
        case BPF_RET:
            return (BPF_RVAL(one.code) == BPF_A ? a : one.k) != 0;
        default: /* BPF_MISC */
            if (BPF_MISCOP(one.code) == BPF_TAX)
                x = a;
            else
                a = x;
            break;
        }
    }
}
