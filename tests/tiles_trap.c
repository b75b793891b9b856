/* Executes the tile instructions of x86 on a processor that has none: what such a processor does with them is to raise
 * SIGILL, and this answers it. So what a compiler made for tiles runs here, registers, strides and configuration as they
 * are. It says when an instruction is used that is not allowed where it stands. Sums are those of hardware: fused, with
 * numbers below 2^-126 as 0, which is the mode of SSE that the handler sets.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

typedef union {
    uint32_t words[16][16];
    float sums[16][16];
} tile;

static _Thread_local struct {
    int configured;
    tile tiles[8];
} unit;

/* instructions seen: configurations, releases, products */
int64_t trap_counts[3];

static const int GENERAL[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void stop(const char *why) {
    if (write(2, "tiles_trap: ", 12) < 0 || write(2, why, strlen(why)) < 0)
        _exit(98);
    _exit(99);
}

/* Where an operand in memory is: its address, the register that is the stride of a tile, and the length of its text. */
typedef struct {
    char *place;
    int64_t stride;
    int length;
} operand;

static operand operand_at(const uint8_t *text, int vex, const greg_t *registers, int after) {
    const int mode = text[0] >> 6, rm = text[0] & 7;
    operand o = {0, 0, 1};
    int64_t place = 0;
    int32_t displacement = 0;
    if (rm == 4) {
        const int base = (text[1] & 7) | (vex & 0x20 ? 0 : 8), index = (text[1] >> 3 & 7) | (vex & 0x40 ? 0 : 8);
        o.length = 2;
        if (index != 4)
            o.stride = registers[GENERAL[index]] << (text[1] >> 6);
        if (mode == 0 && (base & 7) == 5)
            stop("an address without a base\n");
        place = registers[GENERAL[base]];
    } else if (mode == 0 && rm == 5) {
        memcpy(&displacement, text + 1, 4);
        o.length = 5;
        o.place = (char *)(registers[REG_RIP] + after + o.length + displacement);
        return o;
    } else
        place = registers[GENERAL[rm | (vex & 0x20 ? 0 : 8)]];
    if (mode == 1) {
        displacement = (int8_t)text[o.length];
        o.length += 1;
    } else if (mode == 2) {
        memcpy(&displacement, text + o.length, 4);
        o.length += 4;
    }
    o.place = (char *)(place + displacement);
    return o;
}

static float upper(uint32_t word) {
    float number;
    word &= 0xffff0000u;
    memcpy(&number, &word, sizeof number);
    return number;
}

__attribute__((target("fma"))) static void dot(tile *sum, const tile *a, const tile *b) {
    const unsigned mode = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x9fc0);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            float even = 0, odd = 0;
            for (int k = 0; k < 16; k++) {
                even = __builtin_fmaf(upper(a->words[i][k] << 16), upper(b->words[k][j] << 16), even);
                odd = __builtin_fmaf(upper(a->words[i][k]), upper(b->words[k][j]), odd);
            }
            sum->sums[i][j] += even + odd;
        }
    __builtin_ia32_ldmxcsr(mode);
}

static void configure(const char *from) {
    uint16_t bytes[8];
    if (from[0] != 1 || from[1] != 0)
        stop("a palette that is not 1, or a row to start with\n");
    memcpy(bytes, from + 16, sizeof bytes);
    for (int i = 0; i < 8; i++)
        if (bytes[i] != 64 || from[48 + i] != 16)
            stop("a tile that is not of full size\n");
    memset(&unit, 0, sizeof unit);
    unit.configured = 1;
    __atomic_fetch_add(&trap_counts[0], 1, __ATOMIC_RELAXED);
}

static void trapped(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *text = (const uint8_t *)registers[REG_RIP];
    (void)number, (void)info;
    if (text[0] != 0xc4 || (text[1] & 0x1f) != 2 || (text[2] & 0x84) != 0)
        stop("another instruction that this processor does not know\n");
    const int prefix = text[2] & 3, in_register = text[4] >> 6 == 3, n = text[4] >> 3 & 7;
    operand o = {0, 0, 1};
    if (!in_register)
        o = operand_at(text + 4, text[1], registers, 4);
    if (text[3] == 0x49 && prefix == 0 && !in_register)
        configure(o.place);
    else if (!unit.configured)
        stop("a tile in a thread that has none\n");
    else if (text[3] == 0x49 && prefix == 0) {
        unit.configured = 0;
        __atomic_fetch_add(&trap_counts[1], 1, __ATOMIC_RELAXED);
    } else if (text[3] == 0x49 && prefix == 3 && in_register)
        memset(&unit.tiles[n], 0, sizeof unit.tiles[n]);
    else if (text[3] == 0x4b && prefix == 3 && !in_register)
        for (int i = 0; i < 16; i++)
            memcpy(unit.tiles[n].words[i], o.place + i * o.stride, 64);
    else if (text[3] == 0x4b && prefix == 2 && !in_register)
        for (int i = 0; i < 16; i++)
            memcpy(o.place + i * o.stride, unit.tiles[n].words[i], 64);
    else if (text[3] == 0x5c && prefix == 2 && in_register) {
        dot(&unit.tiles[n], &unit.tiles[text[4] & 7], &unit.tiles[~text[2] >> 3 & 15]);
        __atomic_fetch_add(&trap_counts[2], 1, __ATOMIC_RELAXED);
    } else
        stop("a tile instruction that is not expected\n");
    registers[REG_RIP] += 4 + o.length;
}

void trap_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = trapped;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, NULL);
}
