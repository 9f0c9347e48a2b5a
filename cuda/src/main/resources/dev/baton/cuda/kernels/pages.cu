// Pages between two memories that the device reaches: its own, a peer's over NVLink, page-locked memory of the host.
// Page pages[i] of memory from[b] becomes page pages[count + i] of memory to[b]; blocks of one y share memory b.

const int MOST_BUFFERS = 128;

struct Memories {
    const char* from[MOST_BUFFERS];
    char* to[MOST_BUFFERS];
};

template <class Unit>
__device__ __forceinline__ void move_pages(const Memories& memories, const int* pages, unsigned count, unsigned rows,
        unsigned width, i64 from_stride, i64 from_offset, i64 to_stride, i64 to_offset) {
    enter();
    const int* to_pages = pages + count;
    const char* from = memories.from[blockIdx.y] + from_offset;
    char* to = memories.to[blockIdx.y] + to_offset;
    // Width in units.
    const unsigned each = width / (unsigned)sizeof(Unit);
    const unsigned total = count * rows * each;
    const unsigned step = gridDim.x * blockDim.x;
    const int UNROLL = 4;
    for (i64 start = blockIdx.x * blockDim.x + threadIdx.x; start < total; start += (i64)step * UNROLL) {
        Unit held[UNROLL];
        i64 target[UNROLL];
        #pragma unroll
        for (int k = 0; k < UNROLL; k++) {
            i64 place = start + (i64)k * step;
            target[k] = -1;
            if (place < total) {
                unsigned unit = (unsigned)place;
                unsigned row = unit / each;
                unsigned column = unit - row * each;
                unsigned page = row / rows;
                unsigned in_page = row - page * rows;
                held[k] = *(const Unit*)(from + ((i64)pages[page] * rows + in_page) * from_stride + column * sizeof(Unit));
                target[k] = ((i64)to_pages[page] * rows + in_page) * to_stride + column * sizeof(Unit);
            }
        }
        #pragma unroll
        for (int k = 0; k < UNROLL; k++) {
            if (target[k] >= 0) {
                *(Unit*)(to + target[k]) = held[k];
            }
        }
    }
}

#define MOVE(name, Unit)                                                                                             \
    extern "C" __global__ void name(const __grid_constant__ Memories memories, const int* pages, int count, int rows, \
            int width, i64 from_stride, i64 from_offset, i64 to_stride, i64 to_offset) {                             \
        move_pages<Unit>(memories, pages, count, rows, width, from_stride, from_offset, to_stride, to_offset);       \
    }

MOVE(move_pages_16, uint4)
MOVE(move_pages_8, uint2)
MOVE(move_pages_4, unsigned)
MOVE(move_pages_2, unsigned short)
MOVE(move_pages_1, unsigned char)
