#include "host/report/charts/png.hpp"

#include "host/support/error.hpp"

#ifdef MOECARLO_HAVE_RSVG

#include <librsvg/rsvg.h>
#include <png.h>

#include <memory>

namespace moecarlo {
namespace {

constexpr double scale = 2;

struct Release {
  void operator()(RsvgHandle* handle) const { g_object_unref(handle); }
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};

void append(png_structp png, png_bytep bytes, std::size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(bytes), count);
}

/// The picture as PNG bytes; false where there is no memory. Cairo's own writer tries five filters on every row and
/// compresses hard, which took a small study three quarters of its time; charts are flat colours, that need neither.
bool encode(cairo_surface_t* surface, std::string& bytes) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  const bool written = info != nullptr && setjmp(png_jmpbuf(png)) == 0;
  if (written) {
    const int height = cairo_image_surface_get_height(surface);
    const std::size_t stride = static_cast<std::size_t>(cairo_image_surface_get_stride(surface));
    png_set_write_fn(png, &bytes, append, nullptr);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
    png_set_compression_level(png, 2);
    png_set_IHDR(png, info, static_cast<png_uint_32>(cairo_image_surface_get_width(surface)),
                 static_cast<png_uint_32>(height), 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_set_bgr(png);  // a pixel of Cairo is a number: blue lies lowest, and the highest byte is unused
    png_set_filler(png, 0, PNG_FILLER_AFTER);
    for (int row = 0; row < height; ++row) {
      png_write_row(png, cairo_image_surface_get_data(surface) + static_cast<std::size_t>(row) * stride);
    }
    png_write_end(png, info);
  }
  png_destroy_write_struct(&png, &info);
  return written;
}

}  // namespace

bool draws_png() {
  return true;
}

std::string png_of(const std::string& svg, const std::string& name) {
  const std::unique_ptr<RsvgHandle, Release> handle(
      rsvg_handle_new_from_data(reinterpret_cast<const guint8*>(svg.data()), svg.size(), nullptr));
  double width = 0, height = 0;
  if (!handle || !rsvg_handle_get_intrinsic_size_in_pixels(handle.get(), &width, &height)) {
    fail(ErrorKind::machine, "{}: librsvg cannot read the picture", name);
  }
  const std::unique_ptr<cairo_surface_t, Release> surface(cairo_image_surface_create(
      CAIRO_FORMAT_RGB24, static_cast<int>(scale * width), static_cast<int>(scale * height)));
  const std::unique_ptr<cairo_t, Release> context(cairo_create(surface.get()));
  const RsvgRectangle viewport{0, 0, scale * width, scale * height};
  std::string bytes;
  if (!rsvg_handle_render_document(handle.get(), context.get(), &viewport, nullptr) ||
      cairo_surface_status(surface.get()) != CAIRO_STATUS_SUCCESS) {
    fail(ErrorKind::machine, "{}: librsvg cannot draw the picture", name);
  }
  cairo_surface_flush(surface.get());
  if (!encode(surface.get(), bytes)) fail(ErrorKind::machine, "{}: no memory for the picture", name);
  return bytes;
}

}  // namespace moecarlo

#else

namespace moecarlo {

bool draws_png() {
  return false;
}

std::string png_of(const std::string&, const std::string& name) {
  fail(ErrorKind::machine, "{}: no PNG (this build has no librsvg)", name);
}

}  // namespace moecarlo

#endif
