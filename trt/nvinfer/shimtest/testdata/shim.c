// A shim without TensorRT: it keeps the C ABI, and its engines compute something simple, so that
// the Go side is tested where there are no headers of TensorRT. A plan is "PLAN" and the text of
// the model's name, which chooses a fault.
#include "../../shim/shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEIGHT = 36, WIDTH = 48, MASK_HEIGHT = 18, MASK_WIDTH = 24, STYLE = 6 };

struct nvi_library {
  int unused;
};

struct nvi_engine {
  char fault[64];
  int runs;
  unsigned char image[HEIGHT * WIDTH * 3], mask[MASK_HEIGHT * MASK_WIDTH];
  unsigned char* frame;  // of twice the size, of which every other pixel is taken
  int scales, format;
  float style[STYLE];
};

static nvi_status fail(nvi_error error, nvi_status status, const char* text) {
  snprintf(error.text, error.size, "%s", text);
  return status;
}

static int asked(const char* variable, const char* for_what) {
  const char* value = getenv(variable);
  return value && strcmp(value, for_what) == 0;
}

int32_t nvi_abi(void) { return asked("FAKE_SHIM", "old") ? NVI_ABI - 1 : NVI_ABI; }
int32_t nvi_major(void) { return 10; }
void nvi_free(nvi_bytes bytes) { free(bytes.data); }

nvi_status nvi_open(nvi_library** library, nvi_error error) {
  if (asked("FAKE_SHIM", "missing")) return fail(error, NVI_MISSING, "libnvinfer.so.10: cannot open shared object file");
  *library = calloc(1, sizeof **library);
  return NVI_OK;
}

void nvi_close(nvi_library* library) { free(library); }

nvi_status nvi_describe(nvi_library* library, nvi_device* device, nvi_error error) {
  (void)library;
  if (asked("FAKE_SHIM", "no-gpu")) return fail(error, NVI_DEVICE, "there is no GPU");
  *device = (nvi_device){.tensorrt = {10, 3, 0}, .cuda = 12060, .capability = 87, .processors = 8, .integrated = 1, .name = "Orin (fake)"};
  return NVI_OK;
}

static nvi_bytes bytes(const char* text) { return (nvi_bytes){strdup(text), strlen(text)}; }

nvi_status nvi_make(nvi_library* library, const nvi_build* build, nvi_bytes* plan, nvi_bytes* timings, nvi_error error) {
  (void)library;
  if (asked("FAKE_SHIM", "no-memory")) return fail(error, NVI_MEMORY, "build the engine: Error Code 2: OutOfMemory");
  if (asked("FAKE_SHIM", "unreadable")) return fail(error, NVI_MODEL, "read the model:\nnode 3 (Conv): unsupported");
  for (int i = 0; i <= 4; i++) {
    build->progress(build->user, "Tactics", "Build", i, 4);
    if (!build->progress(build->user, "Build", "", i, 4)) return fail(error, NVI_CANCELLED, "as asked");
  }
  char text[128];
  snprintf(text, sizeof text, "precision %d holds %d level %d workspace %llu detailed %d cache %zu", build->precision, build->holds,
           build->optimisation_level, (unsigned long long)build->workspace, build->detailed, build->timing_cache_size);
  *timings = bytes(text);
  *plan = bytes(build->detailed ? "PLAN detailed" : "PLAN good");
  return NVI_OK;
}

nvi_status nvi_load(nvi_library* library, const void* plan, size_t size, nvi_engine** out, nvi_error error) {
  (void)library;
  if (size < 5 || memcmp(plan, "PLAN ", 5) != 0) return fail(error, NVI_PLAN, "read the plan: it is damaged");
  nvi_engine* e = calloc(1, sizeof *e);
  snprintf(e->fault, sizeof e->fault, "%.*s", (int)size - 5, (const char*)plan + 5);
  if (strcmp(e->fault, "memory") == 0) {
    free(e);
    return fail(error, NVI_MEMORY, "allocate 5184 bytes: CUDA error 2, out of memory");
  }
  *out = e;
  return NVI_OK;
}

void nvi_unload(nvi_engine* engine) {
  free(engine->frame);
  free(engine);
}

nvi_status nvi_scaling(nvi_engine* e, const void* code, size_t size, nvi_error error) {
  if (size < 6 || memcmp(code, "KERNEL", 6) != 0) return fail(error, NVI_MISSING, "load the kernel: CUDA driver error 200");
  e->scales = 1;
  return NVI_OK;
}

nvi_status nvi_frame(nvi_engine* e, int32_t width, int32_t height, int32_t format, void** data, size_t* size, nvi_error error) {
  free(e->frame);
  e->frame = NULL;
  *data = NULL;
  *size = 0;
  if (!e->scales || width != 2 * WIDTH || height != 2 * HEIGHT || format == NVI_NV12) return fail(error, NVI_USE, "the CPU scales");
  e->format = format;
  *size = (format == NVI_BGR ? 3 : 2) * (size_t)width * height;
  *data = e->frame = calloc(1, *size);
  return NVI_OK;
}
int32_t nvi_tensors(nvi_engine* engine) { return strcmp(engine->fault, "no-style") == 0 ? 2 : 3; }

nvi_tensor nvi_tensor_at(nvi_engine* e, int32_t i) {
  nvi_tensor all[] = {
      {"image", NVI_UINT8, 1, 4, {1, HEIGHT, WIDTH, 3}, e->image, sizeof e->image},
      {"mask", NVI_UINT8, 0, 3, {1, MASK_HEIGHT, MASK_WIDTH}, e->mask, sizeof e->mask},
      {"style", NVI_FLOAT32, 0, 2, {1, STYLE}, e->style, sizeof e->style},
  };
  if (strcmp(e->fault, "mask-type") == 0) all[1].type = NVI_INT32;
  return all[i];
}

int32_t nvi_captured(nvi_engine* e, nvi_error reason) {
  int refused = strcmp(e->fault, "no-graph") == 0;
  snprintf(reason.text, reason.size, "%s", refused ? "capture a run: not permitted" : "");
  return !refused;
}

// The mask is the red of every other pixel of every other row, or the Y of a YUYV frame's; the
// style is the count of runs.
nvi_status nvi_run(nvi_engine* e, nvi_error error) {
  if (strcmp(e->fault, "run") == 0 && e->runs == 1) {
    e->runs++;
    return fail(error, NVI_RUN, "run the engine: refused");
  }
  if (strcmp(e->fault, "broken") == 0) return fail(error, NVI_BROKEN, "run the engine: CUDA error 719, unspecified launch failure");
  e->runs++;
  for (int i = 0; e->frame && i < HEIGHT * WIDTH; i++) {
    const int at = 2 * (i / WIDTH) * 2 * WIDTH + 2 * (i % WIDTH);
    for (int c = 0; c < 3; c++) e->image[3 * i + c] = e->format == NVI_BGR ? e->frame[3 * at + 2 - c] : e->frame[2 * at];
  }
  for (int y = 0; y < MASK_HEIGHT; y++)
    for (int x = 0; x < MASK_WIDTH; x++) e->mask[y * MASK_WIDTH + x] = e->image[(2 * y * WIDTH + 2 * x) * 3];
  for (int i = 0; i < STYLE; i++) e->style[i] = (float)e->runs;
  return NVI_OK;
}

// The time of a layer is that of its name plus the number of the run, in milliseconds.
nvi_status nvi_profile(nvi_engine* e, int32_t runs, void (*each)(void*, int32_t, const char*, float), void* user, nvi_error error) {
  if (strcmp(e->fault, "broken") == 0) return fail(error, NVI_BROKEN, "profile the engine");
  for (int i = 0; i < runs; i++) {
    each(user, i, "conv1", 0.25f + i);
    each(user, i, strcmp(e->fault, "moving") == 0 && i == 1 ? "conv3" : "conv2", 1.5f + i);
  }
  return NVI_OK;
}

nvi_status nvi_inspect(nvi_engine* e, nvi_bytes* json, nvi_error error) {
  if (strcmp(e->fault, "broken") == 0) return fail(error, NVI_BROKEN, "inspect the engine");
  if (strcmp(e->fault, "detailed") != 0) {
    *json = bytes("{\"Layers\": [\"conv1\", \"conv2\"], \"Bindings\": []}");
    return NVI_OK;
  }
  *json = bytes(
      "{\"Layers\": [{\"Name\": \"conv1\", \"LayerType\": \"CaskConvolution\","
      " \"Inputs\": [{\"Name\": \"image\", \"Format/Datatype\": \"Row major linear UInt8 format\"}],"
      " \"Outputs\": [{\"Name\": \"x\", \"Format/Datatype\": \"Thirty-two wide channel vectorized row major Int8 format\"}],"
      " \"Weights\": {\"Type\": \"Int8\", \"Count\": 27}, \"TacticName\": \"ampere_int8\"},"
      " {\"Name\": \"conv2\", \"LayerType\": \"Myelin\","
      " \"Inputs\": [{\"Name\": \"x\", \"Format/Datatype\": \"Int8\"}],"
      " \"Outputs\": [{\"Name\": \"mask\", \"Format/Datatype\": \"UInt8\"}, {\"Name\": \"style\", \"Format/Datatype\": \"Float\"}],"
      " \"TacticName\": \"\"}]}");
  return NVI_OK;
}
