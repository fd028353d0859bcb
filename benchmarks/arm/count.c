// A plugin of QEMU 7.2's user-mode emulation: counts the instructions that a program runs between the two markers of
// cc_ops/bench/marker.h, and writes them to a file as JSON.
//
//     cc -O2 -fPIC -shared -o libcount.so count.c
//     qemu-aarch64 -plugin ./libcount.so,out=counts.json PROGRAM
//
// Each instruction adds to a counter as it runs, which is exact whatever the machine's load is. QEMU's header of
// plugins is in no package of Debian 12, so what is used of version 1 of its interface is declared here.
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info {
  const char* target_name;
};
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* block, size_t index);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn* instruction);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn* instruction);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb*));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn* instruction, void (*executed)(unsigned, void*),
                                            enum qemu_plugin_cb_flags flags, void* data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn* instruction, enum qemu_plugin_op op,
                                                void* counter, uint64_t added);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

struct target {
  const char* name;
  uint32_t begin, end;  // the first four bytes of the markers
};

static const struct target kTargets[] = {
    {"aarch64", 0xd5032c1fu, 0xd5032c3fu},  // hint #96, hint #97
    {"arm", 0xe320f0feu, 0xe320f0ffu},      // dbg #14, dbg #15 in A32
    {"x86_64", 0x60801f0fu, 0x61801f0fu},   // nopl 0x60606060(%rax), nopl 0x61616161(%rax)
};
static const uint32_t kThumbBegin = 0x80fef3afu, kThumbEnd = 0x80fff3afu;  // the same in T32

static const struct target* target;
static const char* path;
static uint64_t instructions, loads_stores, vector;
static uint64_t begun[3];

static void Begin(unsigned cpu, void* data) {
  (void)cpu, (void)data;
  begun[0] = instructions;
  begun[1] = loads_stores;
  begun[2] = vector;
}

static void End(unsigned cpu, void* data) {
  (void)cpu, (void)data;
  FILE* file = fopen(path, "w");
  if (file == NULL) {
    perror(path);
    return;
  }
  fprintf(file, "{\"instructions\": %" PRIu64, instructions - begun[0]);
  if (target == &kTargets[0]) {
    fprintf(file, ", \"loads_stores\": %" PRIu64 ", \"vector\": %" PRIu64, loads_stores - begun[1], vector - begun[2]);
  }
  fprintf(file, "}\n");
  fclose(file);
}

static void Translated(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  (void)id;
  const size_t count = qemu_plugin_tb_n_insns(block);
  for (size_t i = 0; i < count; ++i) {
    struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
    uint32_t word = 0;
    const size_t size = qemu_plugin_insn_size(instruction);
    memcpy(&word, qemu_plugin_insn_data(instruction), size < sizeof word ? size : sizeof word);
    const bool is_arm = target == &kTargets[1];
    if (word == target->begin || (is_arm && word == kThumbBegin)) {
      qemu_plugin_register_vcpu_insn_exec_cb(instruction, Begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
      continue;
    }
    if (word == target->end || (is_arm && word == kThumbEnd)) {
      qemu_plugin_register_vcpu_insn_exec_cb(instruction, End, QEMU_PLUGIN_CB_NO_REGS, NULL);
      continue;
    }
    qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &instructions, 1);
    if (target != &kTargets[0]) continue;
    // Bits 28 to 25 of an A64 instruction are its class: 0010 SVE, with memory where bit 31 is set; x1x0 loads and
    // stores, those of vectors too; x111 vectors' arithmetic.
    const unsigned class = word >> 25 & 15;
    if ((class & 5) == 4 || (class == 2 && word >> 31)) {
      qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &loads_stores, 1);
    } else if ((class & 7) == 7 || class == 2) {
      qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &vector, 1);
    }
  }
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info* info,
                                                               int argc, char** argv) {
  for (size_t i = 0; i < sizeof kTargets / sizeof kTargets[0]; ++i) {
    if (strcmp(info->target_name, kTargets[i].name) == 0) target = &kTargets[i];
  }
  if (argc == 1 && strncmp(argv[0], "out=", 4) == 0) path = argv[0] + 4;
  if (target == NULL || path == NULL) {
    fprintf(stderr, "The plugin counts on aarch64, arm and x86_64, and needs out=FILE.\n");
    return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, Translated);
  return 0;
}
