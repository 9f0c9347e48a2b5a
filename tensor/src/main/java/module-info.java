/** Element types, tensors, the Device SPI and the CPU device (Vector API, each kernel with a scalar twin). */
module dev.baton.tensor {
    requires transitive dev.baton.model;
    requires jdk.incubator.vector;
    requires jdk.management;
    requires static transitive org.jspecify;

    exports dev.baton.tensor;
    exports dev.baton.tensor.cpu;
    exports dev.baton.tensor.parallel;
}
