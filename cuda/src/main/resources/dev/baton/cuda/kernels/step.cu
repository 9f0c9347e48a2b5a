// How a step begins and ends on the device: its inputs come from host memory, its choices go there and to the token table.

// Ops.beginStep: inputs [2, stride] and the choices below lie in host memory. packed begins with ids, positions, slots and
// places, [tokens] each. turn is turned over by the block that comes last; arrived is 0 between launches.
extern "C" __global__ void begin_step(const int* inputs, i64 stride, int* turn, int* arrived, int* packed, int* tokenTable,
                                      int* slotTable, int n, int tokens) {
    enter();
    const int* from = inputs + *turn * stride;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        int value = __ldcv(from + i);
        if (i < tokens) {
            int at = __ldcv(from + 3 * tokens + i);
            if (value < 0) {
                value = tokenTable[at];
            } else {
                tokenTable[at] = value;
            }
        } else if (i >= 2 * tokens && i < 3 * tokens) {
            slotTable[__ldcv(from + tokens + i)] = value;
        }
        packed[i] = value;
    }
    __syncthreads();
    if (threadIdx.x == 0 && atomicAdd(arrived, 1) == gridDim.x - 1) {
        *arrived = 0;
        *turn ^= 1;
    }
}

// Ops.endStep: the step's row is the other one by now.
extern "C" __global__ void end_step(int* choices, i64 stride, const int* turn, const int* chosen, const int* places,
                                    int* tokenTable, int n) {
    enter();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        tokenTable[places[i]] = chosen[i];
        choices[(*turn ^ 1) * stride + i] = chosen[i];
    }
}
