#include "decode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

struct mjpeg {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  jmp_buf out;
  int damaged;
  char reason[JMSG_LENGTH_MAX];
};

static void give_up(j_common_ptr info) {
  mjpeg *m = info->client_data;
  info->err->format_message(info, m->reason);
  longjmp(m->out, 1);
}

// note keeps the library from writing to standard error. Of its warnings, these mean that some of
// the picture is not what the camera saw; bytes too many before a marker, or none at the end
// where all blocks are there, are habits of cameras.
static void note(j_common_ptr info, int level) {
  mjpeg *m = info->client_data;
  const int code = info->err->msg_code;
  if (level >= 0 || m->damaged) return;
  if (code != JWRN_HIT_MARKER && code != JWRN_HUFF_BAD_CODE && code != JWRN_MUST_RESYNC) return;
  m->damaged = 1;
  info->err->format_message(info, m->reason);
}

mjpeg *mjpeg_new(void) {
  mjpeg *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  m->info.err = jpeg_std_error(&m->errors);
  m->errors.error_exit = give_up;
  m->errors.emit_message = note;
  m->info.client_data = m;
  if (setjmp(m->out)) {
    free(m);
    return NULL;
  }
  jpeg_create_decompress(&m->info);
  return m;
}

void mjpeg_free(mjpeg *m) {
  if (!m) return;
  jpeg_destroy_decompress(&m->info);
  free(m);
}

int mjpeg_decode(mjpeg *m, const uint8_t *from, size_t size, uint8_t *to, int width, int height) {
  struct jpeg_decompress_struct *info = &m->info;
  m->damaged = 0;
  m->reason[0] = 0;
  if (setjmp(m->out)) {
    jpeg_abort_decompress(info);
    return 1;
  }
  jpeg_mem_src(info, (uint8_t *)from, size);
  jpeg_read_header(info, TRUE);
  if (info->image_width != (JDIMENSION)width || info->image_height != (JDIMENSION)height) {
    snprintf(m->reason, sizeof m->reason, "picture has %ux%u pixels instead of %dx%d", info->image_width, info->image_height, width, height);
    jpeg_abort_decompress(info);
    return 1;
  }
  info->out_color_space = JCS_EXT_BGR;
  jpeg_start_decompress(info);
  while (info->output_scanline < info->output_height && !m->damaged) {
    JSAMPROW rows[8];
    for (int i = 0; i < 8; i++) rows[i] = to + (size_t)width * 3 * (info->output_scanline + i);
    const JDIMENSION left = info->output_height - info->output_scanline;
    jpeg_read_scanlines(info, rows, left < 8 ? left : 8);
  }
  jpeg_abort_decompress(info);
  return m->damaged;
}

const char *mjpeg_reason(const mjpeg *m) { return m->reason; }
