package dev.baton.cuda.driver;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;

/**
 * The driver's functions (CUDA Driver API reference). Handles and device addresses travel as longs, results through
 * pointers. Initialising this class loads the driver.
 */
final class Calls {
    private static final NativeLibrary DRIVER = NativeLibrary.open(
            List.of("libcuda.so.1"), "install an NVIDIA driver for CUDA 12 or newer, or use --device cpu");

    /** CUipcMemHandle, which is passed by value. */
    static final StructLayout IPC_HANDLE =
            MemoryLayout.structLayout(MemoryLayout.sequenceLayout(PeerMemory.HANDLE_BYTES, JAVA_BYTE));

    static final MethodHandle INIT = DRIVER.function("cuInit", JAVA_INT);
    static final MethodHandle DRIVER_VERSION = DRIVER.function("cuDriverGetVersion", ADDRESS);
    static final MethodHandle ERROR_NAME = DRIVER.function("cuGetErrorName", JAVA_INT, ADDRESS);
    static final MethodHandle ERROR_STRING = DRIVER.function("cuGetErrorString", JAVA_INT, ADDRESS);
    static final MethodHandle DEVICE_COUNT = DRIVER.function("cuDeviceGetCount", ADDRESS);
    static final MethodHandle DEVICE_GET = DRIVER.function("cuDeviceGet", ADDRESS, JAVA_INT);
    static final MethodHandle DEVICE_NAME = DRIVER.function("cuDeviceGetName", ADDRESS, JAVA_INT, JAVA_INT);
    static final MethodHandle DEVICE_ATTRIBUTE = DRIVER.function("cuDeviceGetAttribute", ADDRESS, JAVA_INT, JAVA_INT);
    static final MethodHandle DEVICE_MEMORY = DRIVER.function("cuDeviceTotalMem_v2", ADDRESS, JAVA_INT);
    static final MethodHandle CONTEXT_RETAIN = DRIVER.function("cuDevicePrimaryCtxRetain", ADDRESS, JAVA_INT);
    static final MethodHandle CONTEXT_RELEASE = DRIVER.function("cuDevicePrimaryCtxRelease_v2", JAVA_INT);
    static final MethodHandle CONTEXT_SET = DRIVER.function("cuCtxSetCurrent", JAVA_LONG);
    static final MethodHandle MEMORY_INFO = DRIVER.function("cuMemGetInfo_v2", ADDRESS, ADDRESS);
    static final MethodHandle ALLOCATE = DRIVER.function("cuMemAlloc_v2", ADDRESS, JAVA_LONG);
    static final MethodHandle FREE = DRIVER.function("cuMemFree_v2", JAVA_LONG);
    static final MethodHandle ALLOCATE_HOST = DRIVER.function("cuMemHostAlloc", ADDRESS, JAVA_LONG, JAVA_INT);
    static final MethodHandle LOCK = DRIVER.function("cuMemHostRegister_v2", JAVA_LONG, JAVA_LONG, JAVA_INT);
    static final MethodHandle UNLOCK = DRIVER.function("cuMemHostUnregister", JAVA_LONG);
    static final MethodHandle FREE_HOST = DRIVER.function("cuMemFreeHost", JAVA_LONG);
    static final MethodHandle GRANULARITY =
            DRIVER.function("cuMemGetAllocationGranularity", ADDRESS, ADDRESS, JAVA_INT);
    static final MethodHandle RESERVE =
            DRIVER.function("cuMemAddressReserve", ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle ADDRESS_FREE = DRIVER.function("cuMemAddressFree", JAVA_LONG, JAVA_LONG);
    static final MethodHandle CREATE = DRIVER.function("cuMemCreate", ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG);
    static final MethodHandle RELEASE = DRIVER.function("cuMemRelease", JAVA_LONG);
    static final MethodHandle MAP = DRIVER.function("cuMemMap", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle UNMAP = DRIVER.function("cuMemUnmap", JAVA_LONG, JAVA_LONG);
    static final MethodHandle SET_ACCESS = DRIVER.function("cuMemSetAccess", JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);
    static final MethodHandle TO_DEVICE =
            DRIVER.function("cuMemcpyHtoDAsync_v2", JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG);
    static final MethodHandle TO_HOST =
            DRIVER.function("cuMemcpyDtoHAsync_v2", ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle ON_DEVICE =
            DRIVER.function("cuMemcpyDtoDAsync_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle BETWEEN = DRIVER.function("cuMemcpyAsync", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    static final MethodHandle FILL = DRIVER.function("cuMemsetD8Async", JAVA_LONG, JAVA_BYTE, JAVA_LONG, JAVA_LONG);
    static final MethodHandle STREAM_CREATE = DRIVER.function("cuStreamCreate", ADDRESS, JAVA_INT);
    static final MethodHandle STREAM_DESTROY = DRIVER.function("cuStreamDestroy_v2", JAVA_LONG);
    static final MethodHandle STREAM_SYNCHRONIZE = DRIVER.function("cuStreamSynchronize", JAVA_LONG);
    static final MethodHandle STREAM_QUERY = DRIVER.function("cuStreamQuery", JAVA_LONG);
    static final MethodHandle STREAM_CREATE_PRIORITY =
            DRIVER.function("cuStreamCreateWithPriority", ADDRESS, JAVA_INT, JAVA_INT);
    static final MethodHandle STREAM_PRIORITIES = DRIVER.function("cuCtxGetStreamPriorityRange", ADDRESS, ADDRESS);
    static final MethodHandle STREAM_WRITE =
            DRIVER.function("cuStreamWriteValue64_v2", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT);
    static final MethodHandle DEVICE_UUID = DRIVER.function("cuDeviceGetUuid_v2", ADDRESS, JAVA_INT);
    static final MethodHandle PEER_ENABLE = DRIVER.function("cuCtxEnablePeerAccess", JAVA_LONG, JAVA_INT);
    static final MethodHandle IPC_EXPORT = DRIVER.function("cuIpcGetMemHandle", ADDRESS, JAVA_LONG);
    static final MethodHandle IPC_OPEN = DRIVER.function("cuIpcOpenMemHandle_v2", ADDRESS, IPC_HANDLE, JAVA_INT);
    static final MethodHandle IPC_CLOSE = DRIVER.function("cuIpcCloseMemHandle", JAVA_LONG);
    static final MethodHandle EVENT_CREATE = DRIVER.function("cuEventCreate", ADDRESS, JAVA_INT);
    static final MethodHandle EVENT_DESTROY = DRIVER.function("cuEventDestroy_v2", JAVA_LONG);
    static final MethodHandle EVENT_RECORD = DRIVER.function("cuEventRecord", JAVA_LONG, JAVA_LONG);
    static final MethodHandle EVENT_SYNCHRONIZE = DRIVER.function("cuEventSynchronize", JAVA_LONG);
    static final MethodHandle EVENT_QUERY = DRIVER.function("cuEventQuery", JAVA_LONG);
    static final MethodHandle EVENT_ELAPSED = DRIVER.function("cuEventElapsedTime", ADDRESS, JAVA_LONG, JAVA_LONG);
    static final MethodHandle MODULE_LOAD = DRIVER.function("cuModuleLoadData", ADDRESS, ADDRESS);
    static final MethodHandle MODULE_UNLOAD = DRIVER.function("cuModuleUnload", JAVA_LONG);
    static final MethodHandle MODULE_FUNCTION = DRIVER.function("cuModuleGetFunction", ADDRESS, JAVA_LONG, ADDRESS);
    static final MethodHandle FUNCTION_ATTRIBUTE = DRIVER.function("cuFuncSetAttribute", JAVA_LONG, JAVA_INT, JAVA_INT);
    static final MethodHandle LAUNCH = DRIVER.function("cuLaunchKernelEx", ADDRESS, JAVA_LONG, ADDRESS, ADDRESS);
    static final MethodHandle TENSOR_MAP = DRIVER.function(
            "cuTensorMapEncodeTiled",
            ADDRESS,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            ADDRESS,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT);
    static final MethodHandle PROFILER_START = DRIVER.function("cuProfilerStart");
    static final MethodHandle PROFILER_STOP = DRIVER.function("cuProfilerStop");
    static final MethodHandle CAPTURE_BEGIN = DRIVER.function("cuStreamBeginCapture_v2", JAVA_LONG, JAVA_INT);
    static final MethodHandle CAPTURE_END = DRIVER.function("cuStreamEndCapture", JAVA_LONG, ADDRESS);
    static final MethodHandle GRAPH_INSTANTIATE =
            DRIVER.function("cuGraphInstantiateWithFlags", ADDRESS, JAVA_LONG, JAVA_LONG);
    static final MethodHandle GRAPH_LAUNCH = DRIVER.function("cuGraphLaunch", JAVA_LONG, JAVA_LONG);
    static final MethodHandle GRAPH_DESTROY = DRIVER.function("cuGraphDestroy", JAVA_LONG);
    static final MethodHandle GRAPH_EXEC_DESTROY = DRIVER.function("cuGraphExecDestroy", JAVA_LONG);

    private Calls() {}
}
