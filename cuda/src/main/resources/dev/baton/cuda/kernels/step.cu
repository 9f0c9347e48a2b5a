// How a step begins and ends on the device: its inputs come from host memory, its choices go there and to the token table.

// Ops.beginStep: inputs [2, stride] and the choices below lie in host memory. packed begins with ids, positions, slots and
// places, [tokens] each. turn is turned over by the block that comes last; arrived is 0 between launches.
extern "C" __global__ void begin_step(const int* inputs, i64 stride, int* turn, int* arrived, int* packed, int* tokenTable,
                                      int* slotTable, int n, int tokens) {
    enter();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        // Host memory is far away: both rows' values are asked for at once, while the turn is read.
        bool stored = i >= 2 * tokens && i < 3 * tokens;
        const int* mine = inputs + i;
        const int* place = i < tokens ? mine + 3 * tokens : stored ? mine + tokens : mine;
        int value = __ldcv(mine);
        int secondValue = __ldcv(mine + stride);
        int at = __ldcv(place);
        int secondAt = __ldcv(place + stride);
        if (*turn) {
            value = secondValue;
            at = secondAt;
        }
        if (i < tokens) {
            if (value < 0) {
                value = tokenTable[at];
            } else {
                tokenTable[at] = value;
            }
        } else if (stored) {
            slotTable[at] = value;
        }
        packed[i] = value;
    }
    __syncthreads();
    if (threadIdx.x == 0 && (gridDim.x == 1 || atomicAdd(arrived, 1) == gridDim.x - 1)) {
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
