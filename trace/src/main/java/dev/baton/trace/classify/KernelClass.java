package dev.baton.trace.classify;

/** What a kernel does, as far as a performance engineer asks. */
public enum KernelClass {
    ATTENTION("attention"),
    GEMM("GEMM"),
    EXPERT_GEMM("expert GEMM"),
    /** Sends tokens to the ranks of their experts. */
    DISPATCH("dispatch"),
    /** Brings expert outputs back. */
    COMBINE("combine"),
    /** Every other exchange between ranks, point to point included. */
    COLLECTIVE("collective"),
    NORM("norm"),
    /** Activations, rotary embedding, quantisation, copies by kernels: work a byte at a time. */
    ELEMENTWISE("elementwise"),
    SAMPLING("sampling"),
    MEMCPY("memcpy"),
    OTHER("other");

    private final String title;

    KernelClass(String title) {
        this.title = title;
    }

    /** The word that reports use. */
    public String title() {
        return title;
    }

    /** Whether ranks exchange data in it. */
    public boolean isCommunication() {
        return this == DISPATCH || this == COMBINE || this == COLLECTIVE;
    }
}
