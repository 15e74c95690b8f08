import "./partitions.ts";
import "./restarts.ts";
import "./voters.ts";
