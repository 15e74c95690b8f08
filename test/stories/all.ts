import "./partitions.ts";
import "./restarts.ts";
