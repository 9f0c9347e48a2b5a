package dev.baton.trace;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where a rank stands in the layout, and the file name that follows from it (dialect, section 2.3). TP rank and rank
 * in the world are global numbers.
 *
 * @param dp replica, or attention group of the one replica
 * @param attentionGroups whether DP ranks are attention groups, whose ranks are among the {@code tpSize}
 */
public record RankCoordinates(
        int tp, int tpSize, int dp, int dpSize, int pp, int ppSize, int ep, int epSize, boolean attentionGroups) {
    private static final Pattern LABEL =
            Pattern.compile("TP-(\\d{1,6})(?:-DP-(\\d{1,6}))?(?:-PP-(\\d{1,6}))?(?:-EP-(\\d{1,6}))?");

    /** A rank of a tensor parallel group inside a replica. */
    public static RankCoordinates of(int tp, int tpSize, int dp, int dpSize) {
        return new RankCoordinates(tp, tpSize, dp, dpSize, 0, 1, 0, 1, false);
    }

    /** Number of this rank among all ranks of the server. */
    public int worldRank() {
        return ((attentionGroups ? 0 : dp) * ppSize + pp) * tpSize + tp;
    }

    /** Ranks of the server. */
    public int worldSize() {
        return tpSize * (attentionGroups ? 1 : dpSize) * ppSize;
    }

    /** {@code TP-t[-DP-d][-PP-p][-EP-e]}; a part stands only when its size is above 1, TP always. */
    public String fileLabel() {
        return "TP-" + tp + (dpSize > 1 ? "-DP-" + dp : "") + (ppSize > 1 ? "-PP-" + pp : "")
                + (epSize > 1 ? "-EP-" + ep : "");
    }

    /** {@code [prefix-]id-label[-stage].trace.json.gz}. */
    public String fileName(String profileId, String prefix, String stage) {
        return (prefix.isEmpty() ? "" : prefix + "-") + profileId + "-" + fileLabel()
                + (stage.isEmpty() ? "" : "-" + stage) + ".trace.json.gz";
    }

    /** The label that a merged trace puts in front of a process id: {@code [TP00-DP01] } for what the file name says. */
    public static String mergeLabel(String fileName) {
        Matcher matcher = LABEL.matcher(fileName);
        if (!matcher.find()) {
            return "";
        }
        StringBuilder label = new StringBuilder("[");
        String[] parts = {"TP", "DP", "PP", "EP"};
        for (int i = 0; i < parts.length; i++) {
            if (matcher.group(i + 1) != null) {
                label.append(i == 0 ? "" : "-")
                        .append(parts[i])
                        .append(String.format("%02d", Integer.parseInt(matcher.group(i + 1))));
            }
        }
        return label.append("] ").toString();
    }
}
