// Asks for huge pages where the platform has them.

#include "buffer.h"

#include <cstddef>
#include <cstdint>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace crossmargin {
namespace {

// From so many bytes on memory is read in too many pages for the CPU to know where they are.
constexpr std::size_t kManyBytes = std::size_t{4} << 20;

}  // namespace

void* allocate_lines(std::size_t bytes) {
  void* const data = ::operator new(bytes, std::align_val_t{kLineBytes});
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t kPage = 4096;
  if (bytes >= kManyBytes) {
    // Whole pages; what the kernel cannot do it does not.
    const std::uintptr_t before = kPage - reinterpret_cast<std::uintptr_t>(data) % kPage;
    ::madvise(static_cast<std::byte*>(data) + before, bytes - before, MADV_HUGEPAGE);
  }
#endif
  return data;
}

void free_lines(void* data) noexcept { ::operator delete(data, std::align_val_t{kLineBytes}); }

}  // namespace crossmargin
