package dev.baton.cuda.driver;

/** What a user can do about an error of the driver (CUDA Driver API reference, CUresult). */
final class Remedies {
    private static final String LESS_MEMORY =
            "lower --mem-fraction-static, --max-total-tokens, --max-running-requests, --context-length or"
                    + " --chunked-prefill-size, or end other programs on this GPU (nvidia-smi lists them)";

    private static final String OLD_DRIVER =
            "the driver is older than the compiler that made the kernels: update it, or use NVRTC of the driver's CUDA"
                    + " version (nvidia-smi shows it)";

    private static final String BROKEN =
            "the GPU's context is lost and the server must be started again; to find the kernel, run the command under"
                    + " compute-sanitizer";

    private Remedies() {}

    /** Behind the driver's own words; empty where nothing can be advised. */
    static String of(int code) {
        return switch (code) {
            case 2 -> LESS_MEMORY;
            case 3, 101 -> "see that nvidia-smi lists the GPU and CUDA_VISIBLE_DEVICES does not hide it";
            case 46 -> "another process has the GPU for itself (compute mode): end it, or take another GPU";
            case 100 -> "no GPU is visible: see nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu";
            case 200, 209 ->
                "the kernels in BATON_KERNEL_CACHE (~/.cache/baton/kernels) are not of this GPU: delete it";
            case 218, 222 -> OLD_DRIVER;
            case 701 ->
                "a kernel needs more registers or shared memory than this GPU has: report it with the GPU's name";
            case 700, 710, 714, 715, 716, 717, 718, 719 -> BROKEN;
            case 802 -> "the system is not ready: start nvidia-fabricmanager (GPUs behind NVSwitch)";
            case 803 -> "driver and kernel module differ: restart the machine after the driver's update";
            default -> "";
        };
    }
}
