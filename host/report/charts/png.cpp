#include "host/report/charts/png.hpp"

#ifdef MOECARLO_HAVE_RSVG

#include <librsvg/rsvg.h>

#include <memory>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr double scale = 2;

struct Release {
  void operator()(RsvgHandle* handle) const { g_object_unref(handle); }
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};

cairo_status_t append(void* text, const unsigned char* bytes, unsigned int count) {
  static_cast<std::string*>(text)->append(reinterpret_cast<const char*>(bytes), count);
  return CAIRO_STATUS_SUCCESS;
}

}  // namespace

std::optional<std::string> png_of(const std::string& svg, const std::string& name) {
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
      cairo_surface_write_to_png_stream(surface.get(), append, &bytes) != CAIRO_STATUS_SUCCESS) {
    fail(ErrorKind::machine, "{}: librsvg cannot draw the picture", name);
  }
  return bytes;
}

}  // namespace moecarlo

#else

namespace moecarlo {

std::optional<std::string> png_of(const std::string&, const std::string&) {
  return std::nullopt;
}

}  // namespace moecarlo

#endif
