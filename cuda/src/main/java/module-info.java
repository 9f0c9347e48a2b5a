/** NVIDIA GPUs as a device: driver, run-time compiler, cuBLASLt and NCCL through java.lang.foreign; kernels are resources. */
module dev.baton.cuda {
    requires transitive dev.baton.tensor;
    requires static transitive org.jspecify;

    exports dev.baton.cuda;
    exports dev.baton.cuda.driver;
    exports dev.baton.cuda.nccl;
}
