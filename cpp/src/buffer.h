// Memory on cache lines: a vector that crosses two of them is read twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace crossmargin {

inline constexpr std::int64_t kLineBytes = 64;

// Memory that starts on a cache line.
void* allocate_lines(std::size_t bytes);
void free_lines(void* data) noexcept;

// Memory that is written before it is read, so that nothing has to fill it first.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::int64_t size) { resize(size); }

  // Room for `size` elements; what was there is lost.
  void resize(std::int64_t size) {
    if (size <= size_) return;
    data_.reset();
    size_ = 0;
    data_.reset(static_cast<T*>(allocate_lines(static_cast<std::size_t>(size) * sizeof(T))));
    size_ = size;
  }
  T* data() noexcept { return data_.get(); }
  const T* data() const noexcept { return data_.get(); }
  std::int64_t size() const noexcept { return size_; }
  T& operator[](std::int64_t i) noexcept { return data_.get()[i]; }
  const T& operator[](std::int64_t i) const noexcept { return data_.get()[i]; }

 private:
  struct Free {
    void operator()(T* data) const noexcept { free_lines(static_cast<void*>(data)); }
  };
  std::unique_ptr<T, Free> data_;
  std::int64_t size_ = 0;
};

}  // namespace crossmargin
