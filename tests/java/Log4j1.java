/*
 * Writes numbered lines through the appenders of a log4j.properties, as a daemon of Hadoop does. See Log4j2.java for the arguments.
 */
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Field;
import java.util.Collections;

import org.apache.log4j.DailyRollingFileAppender;
import org.apache.log4j.Logger;
import org.apache.log4j.LogManager;
import org.apache.log4j.PropertyConfigurator;

public class Log4j1 {
    public static void main(String[] arguments) throws Exception {
        PropertyConfigurator.configure(arguments[0]);
        Logger logger = Logger.getLogger("org.apache.hadoop.hdfs.server.datanode.DataNode");
        BufferedReader limits = new BufferedReader(new InputStreamReader(System.in));
        int lines = Integer.parseInt(arguments[1]);
        int linesPerMilli = Integer.parseInt(arguments[2]);
        int limit = 0;
        for (int number = 0; number < lines; number++) {
            while (number >= limit) {
                limit = Integer.parseInt(limits.readLine());
            }
            lookForNewDate();
            logger.info(String.format("record %06d", number));
            if (number % linesPerMilli == 0) {
                Thread.sleep(1);
            }
        }
        LogManager.shutdown();
    }

    /** A DailyRollingFileAppender looks for a new date once a minute at most; a test has no minutes. */
    private static void lookForNewDate() throws ReflectiveOperationException {
        for (Object appender : Collections.list(Logger.getRootLogger().getAllAppenders())) {
            if (appender instanceof DailyRollingFileAppender) {
                Field nextCheck = DailyRollingFileAppender.class.getDeclaredField("nextCheck");
                nextCheck.setAccessible(true);
                nextCheck.setLong(appender, 0);
            }
        }
    }
}
