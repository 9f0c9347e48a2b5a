package dev.baton.trace.classify;

import java.util.Locale;

/** Which exchange a communication kernel is, by its name. */
public enum CollectiveKind {
    DISPATCH("dispatch"),
    COMBINE("combine"),
    ALL_REDUCE("all_reduce"),
    ALL_GATHER("all_gather"),
    REDUCE_SCATTER("reduce_scatter"),
    ALL_TO_ALL("all_to_all"),
    BROADCAST("broadcast"),
    SEND_RECV("send_recv"),
    OTHER("other");

    private final String title;

    CollectiveKind(String title) {
        this.title = title;
    }

    public String title() {
        return title;
    }

    /**
     * The kind of a kernel or operator that is known to communicate.
     *
     * @param name of the kernel
     * @param kernelClass its class
     */
    public static CollectiveKind of(String name, KernelClass kernelClass) {
        if (kernelClass == KernelClass.DISPATCH) {
            return DISPATCH;
        }
        if (kernelClass == KernelClass.COMBINE) {
            return COMBINE;
        }
        String plain = name.toLowerCase(Locale.ROOT).replace("_", "");
        if (plain.contains("allreduce") || plain.contains("crossdevicereduce") || plain.contains("oneshotreduce")) {
            return ALL_REDUCE;
        } else if (plain.contains("allgather")) {
            return ALL_GATHER;
        } else if (plain.contains("reducescatter")) {
            return REDUCE_SCATTER;
        } else if (plain.contains("alltoall") || plain.contains("all2all")) {
            return ALL_TO_ALL;
        } else if (plain.contains("broadcast")) {
            return BROADCAST;
        } else if (plain.contains("send") || plain.contains("recv")) {
            return SEND_RECV;
        }
        return OTHER;
    }
}
