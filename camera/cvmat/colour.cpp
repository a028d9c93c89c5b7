#include "colour.h"

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include <cstdio>
#include <exception>

int cvmat_convert(const void *from, int rows, int columns, int type, void *to, int rowsTo, int columnsTo, int code, char *message, int size) {
  try {
    const cv::Mat in(rows, columns, type, const_cast<void *>(from));
    cv::Mat out(rowsTo, columnsTo, CV_8UC3, to);
    cv::cvtColor(in, out, code);
    if (out.data == to) return 0;
    std::snprintf(message, size, "the result has another size");
  } catch (const std::exception &e) {
    std::snprintf(message, size, "%s", e.what());
  }
  return 1;
}
